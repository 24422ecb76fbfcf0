"""The Compare page: the form of an experiment and every view of its results."""

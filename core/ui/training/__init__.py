"""The Train page: data sets, a new run with its estimate, and the runs that are there."""

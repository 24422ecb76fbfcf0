"""What can be loaded: the catalog of model cards, where each comes from, and loading."""

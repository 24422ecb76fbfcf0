"""Data sets, recipes, the run store and the worker process that fine-tunes."""

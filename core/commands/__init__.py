"""The groups of the command line, one module each; core/cli.py puts them together."""

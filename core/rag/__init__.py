"""Documents → chunks → index → ranked passages."""

"""One module per family of formats; each turns bytes into blocks. They know nothing of files, limits or names."""

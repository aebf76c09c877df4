"""How tables come in: files as they are, stores, queries over files and databases."""

"""The `keepline` command. Each command is a module here; whatever is heavy to import is imported inside the functions."""

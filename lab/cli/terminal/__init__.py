"""The output of the commands: options in common, tables, stages, errors and results."""

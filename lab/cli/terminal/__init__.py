"""How the commands print and what they say: options in common, tables, stages, errors and results."""

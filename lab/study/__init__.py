"""Studies: many runs of one recipe, and their statistics."""

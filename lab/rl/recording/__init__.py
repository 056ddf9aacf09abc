"""Updates of agents as lists of operations, or as CUDA graphs, that give the same numbers as the eager ones."""

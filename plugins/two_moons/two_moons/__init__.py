"""Two moons: a complete task for `lab`, in three short files (data, module, task) and a recipe."""

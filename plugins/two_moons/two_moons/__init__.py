"""Two moons: a complete task for `lab`: its data, its module, and a recipe."""

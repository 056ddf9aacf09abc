"""Recipes: one short YAML file, its overrides, and everything that can be wrong with them."""

from lab.recipe.load import load
from lab.recipe.schema import ClassSpec, InlineTask, Recipe, Track

__all__ = ["ClassSpec", "InlineTask", "Recipe", "Track", "load"]

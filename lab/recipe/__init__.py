"""Recipes: one short YAML file, its overrides, and everything that can be wrong with them."""

from lab.recipe.load import load, load_text
from lab.recipe.schema import ClassSpec, InlineTask, Recipe, Track, override

__all__ = ["ClassSpec", "InlineTask", "Recipe", "Track", "load", "load_text", "override"]

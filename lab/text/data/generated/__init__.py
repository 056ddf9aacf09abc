"""Texts that are written by rules, so that what is true of them is known."""

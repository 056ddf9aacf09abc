"""Rows of features: regression and, later, classification."""

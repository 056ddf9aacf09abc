"""Rows of features and curves: reading, encoding, splitting."""

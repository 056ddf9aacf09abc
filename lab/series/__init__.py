"""Sequences of numbers and symbols: forecasting, and labels or values of sequences and of their steps."""

"""Vectors of words that are learnt from the company they keep."""

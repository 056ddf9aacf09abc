"""Plots of the vision tasks: a file for each task."""

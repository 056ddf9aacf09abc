"""Generated datasets, with the same images for the same seed."""

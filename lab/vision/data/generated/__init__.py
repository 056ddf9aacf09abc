"""Sets that a program draws, the same images for the same seed."""

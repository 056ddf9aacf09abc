"""Sets of images by name, as tensors in memory, and the data module that serves them."""

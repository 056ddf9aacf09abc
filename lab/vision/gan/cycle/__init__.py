"""Translation between two styles of images without pairs."""

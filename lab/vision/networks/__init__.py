"""Networks by name: each maps images (B, channels, size, size) to logits (B, classes)."""

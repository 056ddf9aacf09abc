"""Images and words together."""

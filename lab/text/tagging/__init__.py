"""Tags of words: parts of speech and names."""

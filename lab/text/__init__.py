"""Words: classification of texts and language models."""

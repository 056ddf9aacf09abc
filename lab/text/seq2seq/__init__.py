"""From one text to another: translations and summaries."""

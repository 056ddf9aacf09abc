"""Everything that knows Lightning's inside: saving between two batches, resuming, stopping, progress, pruning."""

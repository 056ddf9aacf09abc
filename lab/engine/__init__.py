"""Extensions of Lightning's training loop: saving between two batches, resuming, stopping, progress, pruning."""

"""Training the trials of a study: queue, scheduler, workers, storage."""

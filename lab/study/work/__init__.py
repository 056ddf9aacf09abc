"""How the trials of a study are trained: ledger, workers, storage."""

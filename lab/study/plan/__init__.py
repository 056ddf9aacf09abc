"""What a study file says, checked before the first trial."""

"""Reading a study file and checking it before the first trial."""

"""The orchestrator: from a recipe to a Trainer, a fit, a test and a tracked run."""

"""Everything that knows how MLflow is talked to: logger, journal, sender, sync, server."""

"""Communication with MLflow: logger, journal, sender, sync, server."""

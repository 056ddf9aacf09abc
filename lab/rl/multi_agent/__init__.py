"""Several agents in one environment, which learn at the same time."""

"""What came out of a study: tables, plots, the best settings."""

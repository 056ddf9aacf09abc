"""Results of a study: tables, plots, the best settings."""

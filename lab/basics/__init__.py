"""First networks: one number in, one number out."""

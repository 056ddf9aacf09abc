"""The base of all agents."""

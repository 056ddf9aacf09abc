"""Agents in a table that learn a model of their environment."""

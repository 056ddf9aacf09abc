"""Agents that keep a cost within a limit, and a data centre to be cooled."""

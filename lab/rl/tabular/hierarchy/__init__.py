"""Agents in a table that choose among options: policies that go on for several steps."""

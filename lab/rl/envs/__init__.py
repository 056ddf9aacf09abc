"""Environments: making, describing, stepping, snapshots."""

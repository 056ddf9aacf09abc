"""Faults on purpose: real runs are killed, starved and lied to, go on, and must end as one that was left alone."""

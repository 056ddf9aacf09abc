"""Learned models of an environment, planning with them, and learning a policy from them."""

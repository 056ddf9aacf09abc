"""Generative adversarial networks: task, networks, evaluation."""

"""Denoising diffusion: task, network, noise schedules, plots."""

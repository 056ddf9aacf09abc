"""Clips of video: generated ones and files, networks over their frames, and what happens in them."""

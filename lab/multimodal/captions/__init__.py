"""Sentences about images and clips of video."""

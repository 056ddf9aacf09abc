"""Mirrors of a run in TensorBoard, W&B and CSV, filled from its journal."""

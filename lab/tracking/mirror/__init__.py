"""Copies of a run for other screens, made from its journal: TensorBoard, W&B, CSV."""

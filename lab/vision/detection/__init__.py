"""Object detection: networks, their losses, and the task."""

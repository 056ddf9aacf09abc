"""What the tasks draw of what they have learnt: a file for each task."""

"""The task `my_task` for `lab`."""

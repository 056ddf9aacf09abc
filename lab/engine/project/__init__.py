"""For modules and callbacks of other projects: where their files go, and whether what they monitor is logged."""

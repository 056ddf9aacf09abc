"""Learning to learn: many tasks of one distribution, and what is known of a new one after few examples."""

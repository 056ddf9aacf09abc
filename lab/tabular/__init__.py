"""Tables of numbers: regression."""

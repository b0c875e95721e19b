"""How good a map is, and how much of each class there is."""

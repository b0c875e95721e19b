"""Ways to run a network, and which of them to use."""

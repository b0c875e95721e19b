"""What the engine's set-up knows: machines, builds of PyTorch, lists of wheels. Standard library only."""

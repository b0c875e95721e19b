"""Baselines beside the networks: random forest, maximum likelihood, spectral angle."""

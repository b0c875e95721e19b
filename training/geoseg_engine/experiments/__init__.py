"""Many models: folds, a search over settings, a comparison."""

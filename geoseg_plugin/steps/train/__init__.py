"""The step Train: one model, a comparison, cross-validation, search, and all runs."""

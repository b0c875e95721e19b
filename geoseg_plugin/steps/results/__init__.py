"""The step Results: how good a model is, and what a map holds."""

"""The step Predict: a model and layers become a map."""

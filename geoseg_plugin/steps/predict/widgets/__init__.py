"""Widgets of the step Predict."""

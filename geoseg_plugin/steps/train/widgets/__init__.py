"""Widgets of the step Train."""

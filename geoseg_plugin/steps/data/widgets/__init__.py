"""Widgets of the step Data."""

"""Widgets of the step Results."""

"""Confusion matrices and reports."""

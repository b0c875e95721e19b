"""Bands computed from other bands."""

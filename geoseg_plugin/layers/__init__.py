"""QGIS layers on the way in (snapshots) and result files on the way out (styled, grouped layers)."""

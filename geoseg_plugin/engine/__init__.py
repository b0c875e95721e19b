"""The engine's environment and processes. Standard library only; needs no QGIS."""

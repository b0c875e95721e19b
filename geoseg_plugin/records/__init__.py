"""What jobs left in their folders: the workspace, its runs and predictions, and whether they are up to date.

Plain data without QGIS.
"""

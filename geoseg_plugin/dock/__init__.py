"""The dock panel: pages that show choices, and controllers that turn requests into jobs."""

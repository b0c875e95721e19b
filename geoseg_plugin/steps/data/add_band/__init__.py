"""The dialogs that add a band."""

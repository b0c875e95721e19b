"""The panel: its dock, the services that all steps share, and the assembly of both."""

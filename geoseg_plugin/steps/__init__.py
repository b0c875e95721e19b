"""The steps of the panel: one package each, which use the panel's services and never one another."""

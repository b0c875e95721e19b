"""The steps of the panel: one package each, which know the panel's services and not one another."""

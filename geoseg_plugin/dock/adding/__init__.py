"""Small dialogs, one a kind of band that can be added to those of the layers."""

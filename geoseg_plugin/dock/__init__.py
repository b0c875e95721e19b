"""The way from the layers that the panel's steps choose to the inputs of jobs."""

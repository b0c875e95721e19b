"""Set up the environment of the engine: what the machine is, what to install, and how. Standard library only."""

"""One page a step. Pages know their widgets and emit requests; they start nothing themselves."""

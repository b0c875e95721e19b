"""The Processing provider `geoseg`: the same jobs as the dock, as algorithms."""

"""The page Engine: the environment that computes, and the user's settings."""

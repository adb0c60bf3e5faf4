"""The HTTP edge: what both wire dialects share, and the dialects themselves."""

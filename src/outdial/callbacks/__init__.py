"""The HTTP edge that providers send their events to."""

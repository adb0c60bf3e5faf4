"""What the rooms above may ask of an adapter: Protocols and plain values."""

"""The network in a box, bench and simulate: what the server is tried against."""

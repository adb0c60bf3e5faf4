"""The SQL of the distributed engine: any number of nodes."""

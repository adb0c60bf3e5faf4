"""The SQL of the default engine: one file, one writer."""

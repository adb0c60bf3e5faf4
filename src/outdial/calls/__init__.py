"""One call, from claim to outcome."""

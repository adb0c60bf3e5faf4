"""Phone networks: one folder a provider, none of which knows another."""

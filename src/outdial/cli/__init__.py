"""The `outdial` command."""

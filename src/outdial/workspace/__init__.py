"""Workspaces and what belongs to them: keys, agents, numbers and the do-not-call list."""

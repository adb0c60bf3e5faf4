"""When to dial, how many and whose turn, and taking back what a dead node held."""

"""When to dial, how many, whose turn; and taking back what a dead node held."""

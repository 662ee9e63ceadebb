"""Which app a user opens next: logs, rankers, and how rankers are compared."""

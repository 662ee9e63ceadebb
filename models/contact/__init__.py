"""The contact policy: who is contacted with what, when, and what became of it. Pure functions of (state, signal, now)."""

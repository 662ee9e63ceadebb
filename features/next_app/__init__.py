"""The feature set `next_app`, version 1: which app a person opens next, told from Unlock and AppOpen events.

A state of its own shape (`layout`: 64 apps with their names in 8 KiB) and a kernel of its own (`kernel`), with the same header, duplicate
memory and rules of admission as the other sets. Data passes as `event → kernel.admit → kernel.update → kernel.candidates → a row an app`.
`constants` are what a manifest may choose, `oracle` is the naive twin, `single` drives one user's state from Python.
"""

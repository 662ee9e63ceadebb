"""Keepline beside its peers on the same events: `make bench-peers`, or `python -m tests.benchmarks.peers --help` for parts of it."""

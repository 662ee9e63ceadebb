"""Events per second and latency: `make bench`, or `python -m tests.benchmarks --help` for parts of it."""

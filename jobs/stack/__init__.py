"""The servers the demo, the tests and the benchmarks start: Kafka, Redis and Flink, each a context manager in its own folder.

Production brings its own servers; nothing of the job imports this package.
"""

"""Where the kernels meet Flink: the batched customer operator, its JVM shell, and the Kafka and Redis ends."""

"""What an expert would write without Flink: the compiled kernel on whole consumed batches, in one Kafka transaction a second."""

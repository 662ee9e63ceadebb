"""What a machine does when a system does nothing between Kafka and Kafka: nothing on the same stack can be faster."""

package io.keepline.peer;

import java.util.Arrays;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** A Score as Kafka record; the key is its customer id. */
public final class ScoreSerializer implements KafkaRecordSerializationSchema<byte[]> {
  private static final long serialVersionUID = 1L;

  private final String topic;

  public ScoreSerializer(String topic) {
    this.topic = topic;
  }

  @Override
  public ProducerRecord<byte[], byte[]> serialize(byte[] score, KafkaSinkContext context, Long timestamp) {
    int from = TelemetryDeserializer.customerAt(score); // the first field of events and of scores
    return new ProducerRecord<>(topic, Arrays.copyOfRange(score, from, from + TelemetryDeserializer.customerLength(score)), score);
  }
}

package io.keepline;

import java.nio.charset.StandardCharsets;
import java.util.List;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.kafka.clients.producer.ProducerRecord;

/** Output frame to Kafka record: the channel picks the topic; created_ms travels on as a header, for latency along the whole way. */
public final class ChannelSerializer implements KafkaRecordSerializationSchema<byte[]> {
  private static final long serialVersionUID = 1L;
  private static final String CREATED_HEADER = "created_ms";
  private static final String AS_OF_HEADER = "as_of";

  private final String[] topics;
  private final long timed;

  /** @param topics one topic for each channel, in the order of the channels */
  public ChannelSerializer(List<String> topics) {
    this(topics, 0);
  }

  /**
   * @param topics one topic for each channel, in the order of the channels
   * @param timed bit i set: the Kafka timestamp of channel i's records is their frame's as_of; else the client sets it
   */
  public ChannelSerializer(List<String> topics, long timed) {
    this.topics = topics.toArray(new String[0]);
    this.timed = timed;
  }

  @Override
  public void open(SerializationSchema.InitializationContext context, KafkaSinkContext sinkContext) {
    NativeLz4.load();
  }

  /** The record; null, which the sink's writer passes over, for a frame that is not for Kafka. */
  @Override
  public ProducerRecord<byte[], byte[]> serialize(byte[] frame, KafkaSinkContext context, Long timestamp) {
    if (!PackedOut.forKafka(frame)) {
      return null;
    }
    int channel = PackedOut.channel(frame);
    if (channel >= topics.length) {
      throw new IllegalStateException("a frame of channel " + channel + ", but the sink has topics for " + topics.length + " channels");
    }
    // Kafka takes no timestamp below 0.
    Long time = (timed >>> channel & 1) == 0 ? null : Math.max(0L, PackedOut.asOf(frame));
    ProducerRecord<byte[], byte[]> record =
        new ProducerRecord<>(topics[channel], null, time, PackedOut.key(frame), PackedOut.value(frame));
    long created = PackedOut.createdMs(frame);
    if (record.value() == null) { // a tombstone has no value that would say when
      record.headers().add(AS_OF_HEADER, Long.toString(PackedOut.asOf(frame)).getBytes(StandardCharsets.US_ASCII));
    }
    if (created != 0) {
      record.headers().add(CREATED_HEADER, PackedDeserializer.createdHeader(created));
    }
    return record;
  }
}

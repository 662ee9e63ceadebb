package io.keepline;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;

/**
 * Kafka record to {@link PackedIn}. It never refuses a record: whatever is wrong with it is for the kernel to say, as a dead letter.
 *
 * <p>Of the value it reads only what the exchange and the watermark need, the first three fields that all events share: customer_id
 * (where the Kafka key is null), event_id (skipped) and event_time. The kernel reads and judges all of it again.
 */
public final class PackedDeserializer implements KafkaRecordDeserializationSchema<byte[]> {
  private static final long serialVersionUID = 1L;

  /** Longer values are cut here: it is what a dead letter carries, and keeps one bad producer from filling the operator's buffers. */
  public static final int MAX_VALUE = 256 * 1024;

  /** Topic index of a topic that is not in the list. */
  static final int UNKNOWN_TOPIC = 255;

  private static final String CREATED_HEADER = "created_ms";
  private static final byte[] EMPTY = new byte[0];

  private final String[] topics;
  private transient String lastTopic;
  private transient int lastIndex;

  /** @param topics the source's topics, at most 255; a record's topic index is its place in this list */
  public PackedDeserializer(List<String> topics) {
    if (topics.isEmpty() || topics.size() > UNKNOWN_TOPIC) {
      throw new IllegalArgumentException("the source takes 1 to 255 topics, not " + topics.size());
    }
    this.topics = topics.toArray(new String[0]);
  }

  @Override
  public void open(DeserializationSchema.InitializationContext context) {
    NativeLz4.load();
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<byte[]> out) {
    byte[] value = record.value() == null ? EMPTY : record.value();
    out.collect(pack(topicIndex(record.topic()), record.partition(), record.offset(), record.timestamp(),
        created(record.headers().lastHeader(CREATED_HEADER)), record.key(), value));
  }

  /** The packed record; a null key is derived from the value. */
  static byte[] pack(int topic, int partition, long offset, long timestamp, long createdMs, byte[] key, byte[] value) {
    int flags = 0;
    int body = bodyStart(value);
    int keyFrom = 0;
    byte[] keyBytes = key;
    int keyLength = key == null ? 0 : key.length;
    if (key == null) {
      flags |= PackedIn.FLAG_DERIVED_KEY;
      keyBytes = value;
      long span = stringAt(value, body);
      if (span >= 0) {
        keyFrom = (int) (span >>> 32);
        keyLength = (int) span - keyFrom;
      }
    }
    int valueLength = Math.min(value.length, MAX_VALUE);
    boolean oversized = value.length > MAX_VALUE;
    int end = PackedIn.HEADER + keyLength + valueLength;
    byte[] b = new byte[oversized ? end + PackedIn.TRAILER : end];
    b[0] = (byte) (oversized ? flags | PackedIn.FLAG_OVERSIZED : flags);
    b[PackedIn.TOPIC] = (byte) topic;
    PackedIn.INT.set(b, PackedIn.PARTITION, partition);
    PackedIn.LONG.set(b, PackedIn.OFFSET, offset);
    PackedIn.LONG.set(b, PackedIn.TIMESTAMP, timestamp);
    PackedIn.LONG.set(b, PackedIn.CREATED_MS, createdMs);
    PackedIn.LONG.set(b, PackedIn.EVENT_TIME, eventTime(value, body));
    PackedIn.INT.set(b, PackedIn.KEY_LENGTH, keyLength);
    PackedIn.INT.set(b, PackedIn.VALUE_LENGTH, valueLength);
    System.arraycopy(keyBytes == null ? EMPTY : keyBytes, keyFrom, b, PackedIn.HEADER, keyLength);
    System.arraycopy(value, 0, b, PackedIn.HEADER + keyLength, valueLength);
    if (oversized) {
      PackedIn.LONG.set(b, end, (long) value.length);
      System.arraycopy(sha256(value), 0, b, end + 8, 32);
    }
    return b;
  }

  /** Where the Avro body begins: behind C3 01 and 8 bytes (single-object) or 0 and 4 bytes (Confluent); -1 for any other framing. */
  static int bodyStart(byte[] value) {
    if (value.length >= 10 && value[0] == (byte) 0xC3 && value[1] == 1) {
      return 10;
    }
    return value.length >= 5 && value[0] == 0 ? 5 : -1;
  }

  /** Event time, the third field, or Long.MIN_VALUE where the value does not hold one. */
  static long eventTime(byte[] value, int body) {
    long customer = stringAt(value, body);
    long event = customer < 0 ? -1 : stringAt(value, (int) customer); // the lower half: where the string ends
    if (event < 0) {
      return Long.MIN_VALUE;
    }
    int at = (int) event;
    long bits = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at >= value.length) {
        return Long.MIN_VALUE;
      }
      byte b = value[at++];
      if (shift == 63 && (b & 0x7E) != 0) {
        return Long.MIN_VALUE;
      }
      bits |= (long) (b & 0x7F) << shift;
      if (b >= 0) {
        return (bits >>> 1) ^ -(bits & 1);
      }
    }
    return Long.MIN_VALUE;
  }

  /** Span of the Avro string that starts at {@code at}: first byte in the upper half, end in the lower; -1 where there is none. */
  static long stringAt(byte[] value, int at) {
    if (at < 0) {
      return -1;
    }
    long bits = 0;
    int p = at;
    for (int shift = 0; shift < 70; shift += 7) { // longer spellings than needed are read, as the kernel does
      if (p >= value.length) {
        return -1;
      }
      byte b = value[p++];
      if (shift == 63 && (b & 0x7E) != 0) {
        return -1;
      }
      bits |= (long) (b & 0x7F) << shift;
      if (b >= 0) {
        long length = (bits >>> 1) ^ -(bits & 1);
        return length < 0 || length > value.length - p ? -1 : (long) p << 32 | (p + length);
      }
    }
    return -1;
  }

  /** Milliseconds of the created_ms header, decimal ASCII; 0 where it is absent or anything else. */
  static long created(Header header) {
    if (header == null || header.value() == null || header.value().length > 18) {
      return 0;
    }
    long ms = 0;
    for (byte b : header.value()) {
      if (b < '0' || b > '9') {
        return 0;
      }
      ms = 10 * ms + (b - '0');
    }
    return ms;
  }

  static byte[] createdHeader(long ms) {
    return Long.toString(ms).getBytes(StandardCharsets.US_ASCII);
  }

  private int topicIndex(String topic) {
    if (!topic.equals(lastTopic)) {
      lastTopic = topic;
      lastIndex = UNKNOWN_TOPIC;
      for (int i = 0; i < topics.length; i++) {
        if (topics[i].equals(topic)) {
          lastIndex = i;
        }
      }
    }
    return lastIndex;
  }

  private static byte[] sha256(byte[] value) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(value);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java has SHA-256", e);
    }
  }

  @Override
  public TypeInformation<byte[]> getProducedType() {
    return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
  }
}

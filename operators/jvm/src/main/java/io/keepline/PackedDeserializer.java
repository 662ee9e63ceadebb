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
 * Kafka record to {@link PackedIn}, alone or within a block. It never refuses a record: whatever is wrong with it is for the kernel to say, as a dead letter.
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
    byte[] packed = new byte[size(record)];
    pack(record, packed, 0);
    out.collect(packed);
  }

  /** Bytes of the packed record. */
  int size(ConsumerRecord<byte[], byte[]> record) {
    byte[] value = value(record);
    return PackedIn.HEADER + length(key(record)) + (value.length > MAX_VALUE ? MAX_VALUE + PackedIn.TRAILER : value.length);
  }

  /** Packs the record at {@code b[at:]}, where there is room for its size. */
  void pack(ConsumerRecord<byte[], byte[]> record, byte[] b, int at) {
    byte[] value = value(record);
    long key = key(record);
    boolean oversized = value.length > MAX_VALUE;
    int valueLength = Math.min(value.length, MAX_VALUE);
    b[at] = (byte) ((record.key() == null ? PackedIn.FLAG_DERIVED_KEY : 0) | (oversized ? PackedIn.FLAG_OVERSIZED : 0));
    b[at + PackedIn.TOPIC] = (byte) topicIndex(record.topic());
    b[at + 2] = 0; // a block's bytes are used again
    b[at + 3] = 0;
    PackedIn.INT.set(b, at + PackedIn.PARTITION, record.partition());
    PackedIn.LONG.set(b, at + PackedIn.OFFSET, record.offset());
    PackedIn.LONG.set(b, at + PackedIn.TIMESTAMP, record.timestamp());
    PackedIn.LONG.set(b, at + PackedIn.CREATED_MS, created(record.headers().lastHeader(CREATED_HEADER)));
    PackedIn.LONG.set(b, at + PackedIn.EVENT_TIME, eventTime(value, bodyStart(value)));
    PackedIn.INT.set(b, at + PackedIn.KEY_LENGTH, length(key));
    PackedIn.INT.set(b, at + PackedIn.VALUE_LENGTH, valueLength);
    int end = at + PackedIn.HEADER + length(key);
    System.arraycopy(keyed(record), from(key), b, at + PackedIn.HEADER, length(key));
    System.arraycopy(value, 0, b, end, valueLength);
    if (oversized) {
      end += valueLength;
      PackedIn.LONG.set(b, end, (long) value.length);
      System.arraycopy(sha256(value), 0, b, end + 8, 32);
    }
  }

  /** The subtask of a keyed operator that this record is for. */
  int subtask(ConsumerRecord<byte[], byte[]> record, int maxParallelism, int parallelism) {
    long key = key(record);
    int end = from(key) + Math.min(length(key), PackedIn.MAX_STATE_KEY);
    return PackedBlock.subtask(keyed(record), from(key), end, maxParallelism, parallelism);
  }

  private static byte[] value(ConsumerRecord<byte[], byte[]> record) {
    return record.value() == null ? EMPTY : record.value();
  }

  /** What the record's key lies in: itself, or where it is null the value, whose customer_id it is. */
  private static byte[] keyed(ConsumerRecord<byte[], byte[]> record) {
    return record.key() == null ? value(record) : record.key();
  }

  /** Span of the key in {@link #keyed}, as {@link #stringAt} has it; empty where the value has no customer_id. */
  private static long key(ConsumerRecord<byte[], byte[]> record) {
    byte[] value = value(record);
    return record.key() == null ? Math.max(0, stringAt(value, bodyStart(value))) : record.key().length;
  }

  private static int from(long span) {
    return (int) (span >>> 32);
  }

  private static int length(long span) {
    return (int) span - from(span);
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

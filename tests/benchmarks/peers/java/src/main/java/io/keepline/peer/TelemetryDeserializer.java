package io.keepline.peer;

import java.util.Arrays;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.metrics.Counter;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Lets the values of sound records through as they are, and counts the others: a frame or schema that is none of ours, another customer
 * than the key's, an event time out of bounds.
 */
public final class TelemetryDeserializer implements KafkaRecordDeserializationSchema<byte[]> {
  private static final long serialVersionUID = 1L;
  private static final long EARLIEST = 631_152_000_000L; // 1990
  private static final long LATEST = 4_102_444_800_000L; // 2100
  private static final long AHEAD_MS = 24 * CustomerState.HOUR_MS;

  private transient Counter rejected;
  private transient long horizon;

  @Override
  public void open(DeserializationSchema.InitializationContext context) {
    rejected = context.getMetricGroup().counter("rejected");
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<byte[]> out) {
    byte[] value = record.value();
    if (isSound(record.key(), value)) {
      out.collect(value);
    } else {
      rejected.inc();
    }
  }

  private boolean isSound(byte[] key, byte[] value) {
    try {
      if (key == null || value == null || value.length < Event.BODY || value[0] != (byte) 0xC3 || value[1] != 1
          || Event.typeOf(value) == Event.UNKNOWN) {
        return false;
      }
      int from = customerAt(value);
      int to = from + customerLength(value);
      if (!Arrays.equals(value, from, to, key, 0, key.length)) {
        return false;
      }
      long time = eventTime(value);
      if (time < EARLIEST || time >= LATEST) {
        return false;
      }
      if (time > horizon) {
        horizon = System.currentTimeMillis() + AHEAD_MS;
      }
      return time <= horizon;
    } catch (RuntimeException cutShort) {
      return false;
    }
  }

  /** An id has at most 128 bytes, so its length takes one or two. */
  static int customerLength(byte[] value) {
    int low = value[Event.BODY];
    return low >= 0 ? low >> 1 : ((low & 0x7f) | value[Event.BODY + 1] << 7) >> 1;
  }

  static int customerAt(byte[] value) {
    return value[Event.BODY] >= 0 ? Event.BODY + 1 : Event.BODY + 2;
  }

  static long eventTime(byte[] value) {
    int at = customerAt(value) + customerLength(value);
    long length = 0;
    int shift = 0;
    byte b;
    do { // the event id
      b = value[at++];
      length |= (b & 0x7fL) << shift;
      shift += 7;
    } while (b < 0);
    at += (int) (length >>> 1);
    long bits = 0;
    shift = 0;
    do {
      b = value[at++];
      bits |= (b & 0x7fL) << shift;
      shift += 7;
    } while (b < 0);
    return (bits >>> 1) ^ -(bits & 1);
  }

  @Override
  public TypeInformation<byte[]> getProducedType() {
    return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
  }
}

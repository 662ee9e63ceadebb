package io.keepline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

/** What the source packs, from good records and from any bytes at all. */
class PackedDeserializerTest {
  private static final byte[] SINGLE_OBJECT = {(byte) 0xC3, 1, 1, 2, 3, 4, 5, 6, 7, 8};
  private static final byte[] CONFLUENT = {0, 0, 0, 0, 7};

  static byte[] event(byte[] framing, String customer, String event, long time) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(framing);
    string(out, customer);
    string(out, event);
    varint(out, time);
    out.writeBytes(new byte[] {1, 2, 3});
    return out.toByteArray();
  }

  private static void string(ByteArrayOutputStream out, String s) {
    byte[] b = s.getBytes(StandardCharsets.UTF_8);
    varint(out, b.length);
    out.writeBytes(b);
  }

  private static void varint(ByteArrayOutputStream out, long v) {
    long n = v << 1 ^ v >> 63;
    for (; (n & ~0x7FL) != 0; n >>>= 7) {
      out.write((int) (n & 0x7F | 0x80));
    }
    out.write((int) n);
  }

  private static byte[] deserialize(ConsumerRecord<byte[], byte[]> record) {
    List<byte[]> out = new ArrayList<>();
    new PackedDeserializer(List.of("telemetry", "telemetry.calls")).deserialize(record, new Collector<>() {
      @Override
      public void collect(byte[] packed) {
        out.add(packed);
      }

      @Override
      public void close() {}
    });
    assertEquals(1, out.size());
    return out.get(0);
  }

  static byte[] packed(ConsumerRecord<byte[], byte[]> record) {
    PackedDeserializer packer = new PackedDeserializer(List.of("t"));
    byte[] packed = new byte[packer.size(record)];
    packer.pack(record, packed, 0);
    return packed;
  }

  static byte[] packed(byte[] key, byte[] value) {
    return packed(new ConsumerRecord<>("t", 0, 0, key, value));
  }

  private static byte[] key(byte[] packed) {
    return Arrays.copyOfRange(packed, PackedIn.HEADER, PackedIn.HEADER + PackedIn.intAt(packed, PackedIn.KEY_LENGTH));
  }

  @Test
  void packsWhatKafkaHas() {
    for (byte[] framing : new byte[][] {SINGLE_OBJECT, CONFLUENT}) {
      for (long time : new long[] {0, -1, 1_700_000_000_123L, Long.MAX_VALUE, Long.MIN_VALUE + 1}) {
        byte[] value = event(framing, "émile", "e1", time);
        ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("telemetry.calls", 3, 42, new byte[] {1, 2}, value);
        record.headers().add("created_ms", "1700000000456".getBytes(StandardCharsets.US_ASCII));
        byte[] p = deserialize(record);
        assertEquals(0, p[0]);
        assertEquals(1, p[PackedIn.TOPIC]);
        assertEquals(3, PackedIn.intAt(p, PackedIn.PARTITION));
        assertEquals(42, PackedIn.longAt(p, PackedIn.OFFSET));
        assertEquals(1_700_000_000_456L, PackedIn.longAt(p, PackedIn.CREATED_MS));
        assertEquals(time, PackedIn.longAt(p, PackedIn.EVENT_TIME));
        assertArrayEquals(new byte[] {1, 2}, key(p));
        assertArrayEquals(value, Arrays.copyOfRange(p, PackedIn.HEADER + 2, p.length));
      }
    }
  }

  @Test
  void aNullKeyIsTheCustomerIdAndAnEmptyOneStaysEmpty() {
    byte[] value = event(SINGLE_OBJECT, "émile", "e1", 5);
    byte[] derived = packed(null, value);
    assertEquals(PackedIn.FLAG_DERIVED_KEY, derived[0]);
    assertArrayEquals("émile".getBytes(StandardCharsets.UTF_8), key(derived));
    byte[] empty = packed(new byte[0], value);
    assertEquals(0, empty[0]);
    assertEquals(0, key(empty).length);
  }

  @Test
  void anOversizedValueIsCutAndHashedWhole() throws Exception {
    byte[] value = new byte[PackedDeserializer.MAX_VALUE + 1];
    new Random(1).nextBytes(value);
    byte[] p = packed(new byte[200_000], value);
    assertEquals(PackedIn.FLAG_OVERSIZED, p[0]);
    assertEquals(200_000, PackedIn.intAt(p, PackedIn.KEY_LENGTH), "the key stays whole: the dead letter carries it as received");
    assertEquals(PackedDeserializer.MAX_VALUE, PackedIn.intAt(p, PackedIn.VALUE_LENGTH));
    int trailer = PackedIn.HEADER + 200_000 + PackedDeserializer.MAX_VALUE;
    assertEquals(value.length, PackedIn.longAt(p, trailer));
    assertArrayEquals(MessageDigest.getInstance("SHA-256").digest(value), Arrays.copyOfRange(p, trailer + 8, trailer + 40));
    assertEquals(trailer + PackedIn.TRAILER, p.length);
  }

  @Test
  void anyBytesAtAllArePacked() {
    Random random = new Random(7);
    for (int i = 0; i < 200_000; i++) {
      byte[] value = i % 2 == 0 ? new byte[random.nextInt(40)] : event(i % 4 == 1 ? SINGLE_OBJECT : CONFLUENT, "c" + i, "e", i);
      if (i % 2 == 0) {
        random.nextBytes(value);
        System.arraycopy(SINGLE_OBJECT, 0, value, 0, i % 8 == 0 ? Math.min(10, value.length) : 0);
      } else {
        value = Arrays.copyOf(value, random.nextInt(value.length + 1));
        if (value.length > 0) {
          value[random.nextInt(value.length)] ^= (byte) (1 << random.nextInt(8));
        }
      }
      byte[] p = packed(null, value);
      assertEquals(value.length, PackedIn.intAt(p, PackedIn.VALUE_LENGTH));
      assertEquals(p.length, PackedIn.HEADER + PackedIn.intAt(p, PackedIn.KEY_LENGTH) + value.length);
    }
  }

  @Test
  void lengthsInLongerSpellingsAreRead() {
    byte[] value = {0, 0, 0, 0, 7, (byte) 0x82, (byte) 0x80, (byte) 0x80, (byte) 0x80, (byte) 0x80, (byte) 0x80, 0, 'c', 2, 'e', 6};
    byte[] p = packed(null, value);
    assertEquals(1, PackedIn.intAt(p, PackedIn.KEY_LENGTH));
    assertEquals('c', p[PackedIn.HEADER]);
    assertEquals(3, PackedIn.longAt(p, PackedIn.EVENT_TIME));
  }

  @Test
  void whatIsNotThereReadsAsNothing() {
    byte[] value = event(SINGLE_OBJECT, "c", "e", 1_700_000_000_000L);
    for (int cut = 0; cut < value.length - 3; cut++) {
      assertEquals(Long.MIN_VALUE, PackedIn.longAt(packed(null, Arrays.copyOf(value, cut)), PackedIn.EVENT_TIME));
    }
    assertEquals(0, deserialize(new ConsumerRecord<>("telemetry", 0, 0, null, null))[PackedIn.TOPIC]);
    assertEquals(PackedDeserializer.UNKNOWN_TOPIC, deserialize(new ConsumerRecord<>("other", 0, 0, null, null))[PackedIn.TOPIC] & 255);
    for (String header : new String[] {"", "-1", "1.5", "1234567890123456789", "x"}) {
      ConsumerRecord<byte[], byte[]> record = new ConsumerRecord<>("telemetry", 0, 0, null, value);
      record.headers().add("created_ms", header.getBytes(StandardCharsets.US_ASCII));
      assertEquals(0, PackedIn.longAt(deserialize(record), PackedIn.CREATED_MS));
    }
  }
}

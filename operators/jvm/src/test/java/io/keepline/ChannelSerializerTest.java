package io.keepline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import net.jpountz.lz4.LZ4Factory;
import org.apache.flink.api.common.functions.util.ListCollector;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;

/** Frames to Kafka records. */
public class ChannelSerializerTest {
  public static byte[] frame(int channel, String key, byte[] value, long asOf, long sequence, long created) {
    byte[] k = key.getBytes(StandardCharsets.UTF_8);
    byte[] frame = new byte[PackedOut.HEADER + k.length + (value == null ? 0 : value.length)];
    PackedIn.INT.set(frame, 0, frame.length);
    frame[PackedOut.CHANNEL] = (byte) channel;
    PackedIn.LONG.set(frame, PackedOut.SEQUENCE, sequence);
    PackedIn.LONG.set(frame, PackedOut.AS_OF, asOf);
    PackedIn.LONG.set(frame, PackedOut.CREATED_MS, created);
    PackedIn.INT.set(frame, PackedOut.KEY_LENGTH, k.length);
    PackedIn.INT.set(frame, PackedOut.VALUE_LENGTH, value == null ? -1 : value.length);
    System.arraycopy(k, 0, frame, PackedOut.HEADER, k.length);
    if (value != null) {
      System.arraycopy(value, 0, frame, PackedOut.HEADER + k.length, value.length);
    }
    return frame;
  }

  private final ChannelSerializer serializer = new ChannelSerializer(List.of("scores", "interventions"));

  @Test
  void routesByChannelAndKeepsTheTimeOfCreation() {
    ProducerRecord<byte[], byte[]> record = serializer.serialize(frame(1, "c", new byte[] {9}, 1, 2, 1234), null, null);
    assertEquals("interventions", record.topic());
    assertArrayEquals(new byte[] {'c'}, record.key());
    assertArrayEquals(new byte[] {9}, record.value());
    assertEquals("1234", new String(record.headers().lastHeader("created_ms").value(), StandardCharsets.US_ASCII));
    assertNull(record.timestamp());
  }

  @Test
  void anUnknownTimeHasNoHeaderAnEmptyKeyIsNoneAndATombstoneHasNoValueButItsTime() {
    assertFalse(serializer.serialize(frame(0, "c", new byte[] {9}, 1, 2, 0), null, null).headers().iterator().hasNext());
    ProducerRecord<byte[], byte[]> record = serializer.serialize(frame(0, "", null, 1, 2, 0), null, null);
    assertNull(record.key());
    assertNull(record.value());
    assertEquals("1", new String(record.headers().lastHeader("as_of").value(), StandardCharsets.US_ASCII));
    assertNull(record.headers().lastHeader("created_ms"));
    assertThrows(IllegalStateException.class, () -> serializer.serialize(frame(2, "c", null, 1, 2, 0), null, null));
  }

  /** Kafka's writer passes over a null record: test_kafka_ends.py holds it to that. */
  @Test
  void whatIsForTheViewOrForAnotherOperatorIsNoRecord() {
    byte[] frame = frame(1, "c", new byte[] {9}, 1, 2, 0);
    frame[PackedOut.FLAGS] = 1;
    assertNull(serializer.serialize(frame, null, null));
    frame[PackedOut.FLAGS] = 2; // another flag says nothing here
    assertEquals("interventions", serializer.serialize(frame, null, null).topic());
    frame[PackedOut.FLAGS] = 3;
    assertNull(serializer.serialize(frame, null, null));
    for (int channel : new int[] {60, 62, 63}) {
      assertNull(serializer.serialize(frame(channel, "c", new byte[] {9}, 1, 2, 0), null, null));
    }
    assertThrows(IllegalStateException.class, () -> serializer.serialize(frame(59, "c", null, 1, 2, 0), null, null));
  }

  @Test
  void anEmptyValueIsATombstone() {
    ProducerRecord<byte[], byte[]> record = serializer.serialize(frame(1, "c", new byte[0], 1, 2, 0), null, null);
    assertEquals("interventions", record.topic());
    assertArrayEquals(new byte[] {'c'}, record.key());
    assertNull(record.value());
  }

  @Test
  void aTimedChannelTakesItsTimeFromTheFrame() {
    ChannelSerializer timed = new ChannelSerializer(List.of("telemetry", "dead-letters"), 1);
    assertEquals(1234L, timed.serialize(frame(0, "c", new byte[] {9}, 1234, 0, 0), null, 99L).timestamp());
    assertEquals(0L, timed.serialize(frame(0, "c", new byte[] {9}, -5, 0, 0), null, null).timestamp());
    assertNull(timed.serialize(frame(1, "c", new byte[] {9}, 1234, 0, 0), null, 99L).timestamp());
  }

  @Test
  void aBlockIsTakenApartIntoTheFramesOfTheWantedChannels() {
    byte[] first = frame(1, "a", new byte[] {1}, 0, 0, 0);
    byte[] other = frame(0, "b", new byte[] {2}, 0, 0, 0);
    byte[] last = frame(63, "", null, 0, 0, 0);
    byte[] block = ByteBuffer.allocate(first.length + other.length + last.length).put(first).put(other).put(last).array();
    assertArrayEquals(new byte[][] {first, last}, framesOf(block, 1L << 1 | 1L << 63));
    assertArrayEquals(new byte[][] {first, other, last}, framesOf(block, -1L));
    assertArrayEquals(new byte[][] {other}, framesOf(other, -1L));
    assertArrayEquals(new byte[][] {}, framesOf(new byte[0], -1L));
    block[first.length] = 1; // a length that ends inside the header
    String why = assertThrows(IllegalStateException.class, () -> framesOf(block, -1L)).getMessage();
    assertTrue(why.contains("a frame of 1 bytes at " + first.length), why);
  }

  @Test
  void kafkaCompressesByTheNativeLibrary() {
    NativeLz4.load();
    assertTrue(LZ4Factory.fastestInstance().toString().contains("JNI"), LZ4Factory.fastestInstance().toString());
  }

  private static byte[][] framesOf(byte[] block, long channels) {
    List<byte[]> frames = new ArrayList<>();
    new ChannelFrames(channels).flatMap(block, new ListCollector<>(frames));
    return frames.toArray(new byte[0][]);
  }
}

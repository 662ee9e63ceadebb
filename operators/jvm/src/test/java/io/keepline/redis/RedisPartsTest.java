package io.keepline.redis;

import static io.keepline.ChannelSerializerTest.frame;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.keepline.PackedOut;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.junit.jupiter.api.Test;

/** The Redis sink's parts that need no Redis. */
class RedisPartsTest {
  private static final byte[] VALUE = {1};

  private static byte[] at(String key, long asOf, long sequence) {
    return frame(0, key, VALUE, asOf, sequence, 0);
  }

  private static byte[] tombstone(String key, long asOf, long sequence) {
    return frame(0, key, null, asOf, sequence, 0);
  }

  private static byte[] timed(String key, long sequence, long createdMs) {
    return frame(0, key, VALUE, 1, sequence, createdMs);
  }

  private static Map<String, Long> sequences(PendingFrames pending) {
    Map<String, Long> all = new HashMap<>();
    pending.snapshot().forEach(f -> all.put(new String(PackedOut.key(f), StandardCharsets.UTF_8), PackedOut.sequence(f)));
    return all;
  }

  @Test
  void theNewestOfAKeyStays() {
    PendingFrames pending = new PendingFrames(10);
    pending.put(at("a", 5, 1));
    pending.put(at("a", 5, 3));
    pending.put(at("a", 5, 2));
    pending.put(at("a", 4, 9));
    pending.put(at("b", 1, 1));
    assertEquals(Map.of("a", 3L, "b", 1L), sequences(pending));
    pending.put(frame(1, "a", VALUE, 1, 1, 0));
    assertEquals(3, pending.size(), "another channel is another key");
  }

  @Test
  void whatIsBeingSentIsStillPendingAndComesBackBehindNothingNewer() throws Exception {
    PendingFrames pending = new PendingFrames(10);
    pending.put(at("a", 1, 1));
    pending.put(at("b", 1, 1));
    assertEquals(2, pending.take(10, 0).size());
    pending.put(at("a", 2, 2));
    pending.put(at("b", 0, 0));
    assertEquals(Map.of("a", 2L, "b", 1L), sequences(pending));
    pending.giveBack();
    assertEquals(List.of(2L, 1L), pending.take(10, 0).stream().map(taken -> PackedOut.sequence(taken.frame())).toList());
    pending.acknowledge();
    assertEquals(0, pending.size());
    assertEquals(0, pending.lagMs());
  }

  @Test
  void theLagIsTheAgeOfTheOldestKeyWhateverCameSince() throws Exception {
    PendingFrames pending = new PendingFrames(10);
    pending.put(at("a", 1, 1));
    Thread.sleep(60);
    pending.put(at("b", 1, 1));
    pending.put(at("a", 2, 2)); // newer, but the key has waited since the first
    assertTrue(pending.lagMs() >= 60);
    assertEquals(1, pending.take(1, 0).size());
    pending.put(at("a", 3, 3));
    pending.giveBack();
    assertTrue(pending.lagMs() >= 60, "given back, it waits on");
    assertEquals(3, PackedOut.sequence(pending.take(1, 0).get(0).frame()));
    pending.acknowledge();
    assertTrue(pending.lagMs() < 60_000 && pending.size() == 1, "b is the oldest now");
    pending.take(1, 0);
    pending.acknowledge();
    assertEquals(0, pending.lagMs());
  }

  @Test
  void whatANewerFrameReplacesIsTimedWithIt() throws Exception {
    PendingFrames pending = new PendingFrames(10);
    pending.put(timed("a", 1, 500));
    pending.put(timed("a", 2, 0)); // not timed
    pending.put(timed("a", 3, 700));
    pending.put(timed("a", 2, 100)); // older: it replaces nothing
    PendingFrames.Pending taken = pending.take(1, 0).get(0);
    assertEquals(List.of(700L, 1L, 500L), List.of(PackedOut.createdMs(taken.frame()), (long) taken.replaced(), taken.replacedMs()));
    pending.put(timed("a", 4, 400));
    pending.put(timed("a", 5, 900));
    pending.giveBack();
    taken = pending.take(1, 0).get(0);
    assertEquals(List.of(900L, 3L, 400L), List.of(PackedOut.createdMs(taken.frame()), (long) taken.replaced(), taken.replacedMs()));
    pending.acknowledge();
    assertEquals(0, pending.size());
  }

  @Test
  void aRandomHistoryTimesEveryFrameOnce() throws Exception {
    Random random = new Random(5);
    PendingFrames pending = new PendingFrames(100);
    long timed = 0;
    long put = 0;
    for (int i = 1; i <= 20_000; i++) {
      long created = random.nextInt(3) == 0 ? 0 : i;
      put += created == 0 ? 0 : 1;
      pending.put(timed("k" + random.nextInt(20), i, created));
      if (random.nextInt(10) == 0 || i == 20_000) {
        List<PendingFrames.Pending> sent = pending.take(i == 20_000 ? 100 : 7, 0);
        if (random.nextInt(3) == 0 && i < 20_000) {
          pending.giveBack();
          continue;
        }
        for (PendingFrames.Pending each : sent) {
          timed += each.replaced() + (PackedOut.createdMs(each.frame()) == 0 ? 0 : 1);
          assertTrue(each.replaced() == 0 || each.replacedMs() > 0 && each.replacedMs() < PackedOut.sequence(each.frame()));
        }
        pending.acknowledge();
      }
    }
    assertEquals(put, timed);
  }

  @Test
  void pastTheBoundTheOldestKeyGoes() {
    PendingFrames pending = new PendingFrames(2);
    pending.put(at("a", 1, 1));
    pending.put(at("b", 1, 1));
    pending.put(at("a", 2, 2));
    assertEquals(0, pending.dropped());
    pending.put(at("c", 1, 1));
    assertEquals(Map.of("b", 1L, "c", 1L), sequences(pending));
    assertEquals(1, pending.dropped());
  }

  @Test
  void aTombstoneTakesThePlaceOfWhatWaits() throws Exception {
    PendingFrames pending = new PendingFrames(10);
    pending.put(at("a", 5, 1));
    pending.put(at("b", 5, 1));
    assertEquals(2, pending.take(10, 0).size());
    pending.put(tombstone("a", 5, 2));
    pending.put(at("a", 5, 1)); // older than it
    pending.put(tombstone("b", 4, 9)); // older than what is being sent
    pending.giveBack();
    List<PendingFrames.Pending> taken = pending.take(10, 0);
    assertEquals(List.of(true, false), taken.stream().map(each -> View.tombstone(each.frame())).toList());
    pending.put(at("a", 6, 1)); // the customer is back
    pending.giveBack();
    assertFalse(View.tombstone(pending.take(10, 0).get(0).frame()));
  }

  @Test
  void pastTheBoundTombstonesGoLast() throws Exception {
    PendingFrames pending = new PendingFrames(3);
    pending.put(tombstone("a", 1, 1));
    pending.put(at("b", 1, 1));
    pending.put(tombstone("c", 1, 1));
    pending.put(at("d", 1, 1));
    assertEquals(Map.of("a", 1L, "c", 1L, "d", 1L), sequences(pending));
    pending.put(tombstone("e", 1, 1));
    assertEquals(Map.of("a", 1L, "c", 1L, "e", 1L), sequences(pending));
    pending.put(at("f", 1, 1)); // no score drives out a tombstone
    assertEquals(Map.of("a", 1L, "c", 1L, "e", 1L), sequences(pending));
    pending.put(tombstone("g", 1, 1));
    assertEquals(3, pending.size());
    assertTrue(sequences(pending).containsKey("g"));
    assertEquals(4, pending.dropped());
  }

  @Test
  void aRandomHistoryDropsNoTombstoneThatHasRoom() throws Exception {
    Random random = new Random(11);
    int bound = 50;
    PendingFrames pending = new PendingFrames(bound);
    Map<String, byte[]> newest = new HashMap<>();
    Map<String, byte[]> stored = new HashMap<>();
    for (int i = 1; i <= 50_000; i++) {
      String key = "k" + random.nextInt(400);
      boolean erased = newest.containsKey(key) && View.tombstone(newest.get(key)) || random.nextInt(70) == 0;
      byte[] frame = erased ? tombstone(key, i, i) : at(key, i, i); // once erased, for ever
      pending.put(frame);
      newest.put(key, frame);
      assertTrue(pending.size() <= bound);
      if (random.nextInt(30) == 0) {
        List<byte[]> sent = pending.take(random.nextInt(40), 0).stream().map(PendingFrames.Pending::frame).toList();
        if (random.nextInt(3) == 0) {
          pending.giveBack();
        } else {
          sent.forEach(f -> stored.put(new String(PackedOut.key(f), StandardCharsets.UTF_8), f));
          pending.acknowledge();
        }
      }
      if (i % 1000 == 0) { // few enough tombstones at a time
        newest.values().removeIf(View::tombstone);
        while (pending.size() > 0) {
          pending.take(40, 0).forEach(each -> stored.put(new String(PackedOut.key(each.frame()), StandardCharsets.UTF_8), each.frame()));
          pending.acknowledge();
        }
        stored.clear();
      }
      if (i % 1000 == 999) {
        Map<String, byte[]> all = new HashMap<>(stored);
        pending.snapshot().forEach(f -> all.put(new String(PackedOut.key(f), StandardCharsets.UTF_8), f));
        long tombstones = newest.values().stream().filter(View::tombstone).count();
        assertTrue(tombstones > 3 && tombstones < bound, "the test says something: " + tombstones);
        newest.forEach((k, f) -> assertTrue(!View.tombstone(f) || all.containsKey(k) && View.tombstone(all.get(k)), k));
        assertTrue(pending.dropped() > 0);
      }
    }
  }

  @Test
  void aRandomHistoryLosesNoNewestValue() throws Exception {
    Random random = new Random(3);
    PendingFrames pending = new PendingFrames(100);
    Map<String, Long> newest = new HashMap<>();
    Map<String, Long> stored = new HashMap<>();
    for (int i = 1; i <= 20_000; i++) {
      String key = "k" + random.nextInt(30);
      pending.put(at(key, i, i));
      newest.put(key, (long) i);
      if (random.nextInt(10) == 0) {
        List<byte[]> sent = pending.take(7, 0).stream().map(PendingFrames.Pending::frame).toList();
        if (random.nextInt(3) == 0) {
          pending.giveBack();
        } else {
          sent.forEach(f -> stored.merge(new String(PackedOut.key(f), StandardCharsets.UTF_8), PackedOut.sequence(f), Math::max));
          pending.acknowledge();
        }
      }
      if (i % 1000 == 0) { // a restore
        PendingFrames restored = new PendingFrames(100);
        PendingSerializer.chunks(pending.snapshot()).forEach(chunk -> PendingSerializer.frames(chunk).forEach(restored::put));
        pending = restored;
      }
    }
    sequences(pending).forEach((key, sequence) -> stored.merge(key, sequence, Math::max));
    assertEquals(newest, stored);
  }

  @Test
  void stateIsVersioned() throws Exception {
    PendingSerializer serializer = new PendingSerializer();
    List<byte[]> chunks = PendingSerializer.chunks(List.of(at("a", 1, 1), frame(1, "b", new byte[5 << 20], 2, 2, 0), at("c", 3, 3)));
    assertEquals(3, chunks.size());
    List<byte[]> back = PendingSerializer.frames(serializer.deserialize(1, serializer.serialize(chunks.get(1))));
    assertEquals(2, PackedOut.sequence(back.get(0)));
    assertThrows(java.io.IOException.class, () -> serializer.deserialize(2, new byte[0]));
    assertEquals(List.of(), PendingSerializer.chunks(List.of()));
  }

  @Test
  void aRecordBecomesAHash() throws Exception {
    String json = "{\"type\":\"record\",\"name\":\"Score\",\"fields\":[{\"name\":\"customer_id\",\"type\":\"string\"},"
        + "{\"name\":\"value\",\"type\":\"double\"},{\"name\":\"band\",\"type\":{\"type\":\"enum\",\"name\":\"B\",\"symbols\":[\"LOW\",\"HIGH\"]}},"
        + "{\"name\":\"as_of\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"note\",\"type\":[\"null\",\"string\"]},"
        + "{\"name\":\"reasons\",\"type\":{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"R\",\"fields\":["
        + "{\"name\":\"feature\",\"type\":\"string\"},{\"name\":\"value\",\"type\":\"double\"}]}}}]}";
    Schema schema = new Schema.Parser().parse(json);
    GenericRecord record = new GenericData.Record(schema);
    record.put("customer_id", "c $1 \"é\"");
    record.put("value", 2.0E-3);
    record.put("band", new GenericData.EnumSymbol(schema.getField("band").schema(), "HIGH"));
    record.put("as_of", 77L);
    Schema reason = schema.getField("reasons").schema().getElementType();
    GenericRecord first = new GenericData.Record(reason);
    first.put("feature", "a\"b");
    first.put("value", 0.1);
    record.put("reasons", List.of(first));
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.writeBytes(new byte[10]);
    BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(out, null);
    new GenericDatumWriter<GenericRecord>(schema).write(record, encoder);
    encoder.flush();
    List<String> hash = new View(json, "keepline:score:{customer_id}:{band}").hash(frame(0, "c", out.toByteArray(), 78, 5, 0)).stream()
        .map(b -> new String(b, StandardCharsets.UTF_8)).toList();
    assertEquals(List.of("keepline:score:c $1 \"é\":HIGH", "78", "5", "customer_id", "c $1 \"é\"", "value", "0.002", "band", "HIGH", "reasons",
        "[{\"feature\":\"a\\\"b\",\"value\":0.1}]"), hash);
    assertThrows(IllegalArgumentException.class, () -> new View(json, "k:{nothing}"));
  }

  @Test
  void addressesAreReadAndNeverPrintThePassword() {
    assertEquals("redis://localhost:6379/0", new RedisAddress("redis://localhost").toString());
    assertEquals("rediss://***@h:1/2", new RedisAddress("rediss://user:s%3Acret@h:1/2?ssl_check_hostname=false").toString());
    for (String bad : new String[] {"http://u:secret@h", "redis://", "redis://:secret@h/x", "redis://:sec ret@h", "redis://:secret@h?tls=1"}) {
      IllegalArgumentException refused = assertThrows(IllegalArgumentException.class, () -> new RedisAddress(bad), bad);
      assertFalse(refused.getMessage().contains("ecret"), refused.getMessage());
    }
  }

  @Test
  void quantilesAreWithinThreePercent() {
    LatencyHistogram histogram = new LatencyHistogram();
    assertEquals(0, histogram.quantile(0.5));
    for (int ms = 1; ms <= 10_000; ms++) {
      histogram.add(ms);
    }
    assertEquals(5000, histogram.quantile(0.5), 160);
    assertEquals(9900, histogram.quantile(0.99), 300);
    assertEquals(10_000, histogram.max());
    assertEquals(10_000, histogram.quantile(1));
    for (long v : new long[] {0, 1, 31, 32, 33, 63, 64, 1000, Long.MAX_VALUE}) {
      int bucket = LatencyHistogram.bucket(v);
      assertTrue(LatencyHistogram.upper(bucket) >= v && (bucket == 0 || LatencyHistogram.upper(bucket - 1) < v), "of " + v);
    }
    assertArrayEquals(new long[] {10_000}, new long[] {histogram.count()});
  }
}

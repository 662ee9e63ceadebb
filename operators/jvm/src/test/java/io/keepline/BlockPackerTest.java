package io.keepline;

import static io.keepline.PackedDeserializerTest.packed;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.apache.flink.connector.base.source.reader.RecordsBySplits;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.junit.jupiter.api.Test;

/** Polls to blocks: every record once, in order, in a block that keyBy sends where the record belongs. */
class BlockPackerTest {
  private static final int MAX_PARALLELISM = 128;
  private final PackedDeserializer packer = new PackedDeserializer(List.of("t"));

  private static ConsumerRecord<byte[], byte[]> record(Random random, int partition, long offset) {
    byte[] id = new byte[1 + random.nextInt(random.nextInt(20) == 0 ? 300 : 12)];
    random.nextBytes(id);
    byte[] value = new byte[random.nextInt(200)];
    random.nextBytes(value);
    if (random.nextInt(4) == 0) { // a record without a key, whose value names the customer
      byte[] name = ("c" + random.nextInt(50)).getBytes(StandardCharsets.US_ASCII);
      value = new byte[10 + 1 + name.length + 8];
      value[0] = (byte) 0xC3;
      value[1] = 1;
      value[10] = (byte) (2 * name.length);
      System.arraycopy(name, 0, value, 11, name.length);
      id = null;
    }
    return new ConsumerRecord<>("t", partition, offset, id, random.nextInt(50) == 0 ? null : value);
  }

  private static Collection<ConsumerRecord<byte[], byte[]>> polled(Random random, int partition, int n) {
    List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      records.add(record(random, partition, 10 + 3L * i));
    }
    return records;
  }

  @Test
  void everyRecordIsInOneBlockOfItsSubtaskInOrder() {
    Random random = new Random(3);
    for (int round = 0; round < 200; round++) {
      int parallelism = 1 + random.nextInt(5);
      Map<String, Collection<ConsumerRecord<byte[], byte[]>>> polled = new LinkedHashMap<>();
      for (int partition = 0; partition < 1 + random.nextInt(3); partition++) {
        polled.put("t-" + partition, polled(random, partition, random.nextInt(600)));
      }
      var packed = new BlockPacker(packer, MAX_PARALLELISM, parallelism).pack(new RecordsBySplits<>(polled, Set.of("t-9")));
      assertEquals(Set.of("t-9"), packed.finishedSplits());
      Map<String, Collection<ConsumerRecord<byte[], byte[]>>> left = new HashMap<>(polled);
      for (String split = packed.nextSplit(); split != null; split = packed.nextSplit()) {
        check(new ArrayList<>(left.remove(split)), packed, parallelism);
      }
      left.values().forEach(records -> assertTrue(records.isEmpty()));
      assertNull(packed.nextRecordFromSplit());
    }
  }

  /** One split: what each Fetched holds are the next records up to its offset, and each subtask's in their order. */
  private void check(List<ConsumerRecord<byte[], byte[]>> wanted,
      org.apache.flink.connector.base.source.reader.RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> packed, int parallelism) {
    int done = 0;
    for (var each = packed.nextRecordFromSplit(); each != null; each = packed.nextRecordFromSplit()) {
      Map<Integer, List<byte[]>> bySubtask = new HashMap<>();
      int from = done;
      while (done < wanted.size() && wanted.get(done).offset() <= each.offset()) {
        byte[] alone = packed(wanted.get(done++));
        int subtask = KeyGroupRangeAssignment.assignKeyToParallelOperator(PackedIn.stateKey(alone), MAX_PARALLELISM, parallelism);
        bySubtask.computeIfAbsent(subtask, s -> new ArrayList<>()).add(alone);
      }
      assertEquals(wanted.get(done - 1).offset(), each.offset());
      assertTrue(done > from);
      List<byte[]> blocks = ((BlockPacker.Fetched) each).blocks;
      assertEquals(bySubtask.size(), blocks.size());
      for (byte[] block : blocks) {
        boolean last = block == blocks.get(blocks.size() - 1);
        assertEquals(last ? 0 : PackedIn.FLAG_MORE, block[0] & PackedIn.FLAG_MORE);
        block[0] &= ~PackedIn.FLAG_MORE;
        int subtask = KeyGroupRangeAssignment.assignKeyToParallelOperator(PackedIn.stateKey(block), MAX_PARALLELISM, parallelism);
        int at = 0;
        for (byte[] alone : bySubtask.remove(subtask)) {
          int next = PackedIn.next(block, at);
          assertArrayEquals(alone, Arrays.copyOfRange(block, at, next));
          at = next;
        }
        assertEquals(block.length, at);
      }
    }
    assertEquals(wanted.size(), done);
  }

  @Test
  void anOversizedRecordTravelsWithItsTrailer() {
    ConsumerRecord<byte[], byte[]> large = new ConsumerRecord<>("t", 0, 5, new byte[] {1}, new byte[PackedDeserializer.MAX_VALUE + 9]);
    ConsumerRecord<byte[], byte[]> small = new ConsumerRecord<>("t", 0, 6, new byte[] {1}, new byte[] {7});
    var packed = new BlockPacker(packer, MAX_PARALLELISM, 2).pack(new RecordsBySplits<>(Map.of("t-0", List.of(small, large, small)), Set.of()));
    packed.nextSplit();
    byte[] first = ((BlockPacker.Fetched) packed.nextRecordFromSplit()).blocks.get(0);
    int at = PackedIn.next(first, 0);
    assertArrayEquals(packed(large), Arrays.copyOfRange(first, at, first.length));
    assertArrayEquals(packed(small), ((BlockPacker.Fetched) packed.nextRecordFromSplit()).blocks.get(0));
  }

  @Test
  void whatIsNoBlockIsRefused() {
    byte[] packed = packed(new ConsumerRecord<>("t", 0, 6, new byte[] {1}, new byte[] {7, 8}));
    byte[] negative = packed.clone();
    PackedIn.INT.set(negative, PackedIn.VALUE_LENGTH, -60);
    for (byte[] broken : List.of(Arrays.copyOf(packed, 20), Arrays.copyOf(packed, packed.length - 1), negative)) {
      assertTrue(assertThrows(IllegalStateException.class, () -> PackedIn.next(broken, 0)).getMessage().contains("no packed record at 0"));
    }
  }
}

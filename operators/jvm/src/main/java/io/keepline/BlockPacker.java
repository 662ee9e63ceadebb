package io.keepline;

import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.connector.base.source.reader.RecordsBySplits;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * The records of a poll as blocks. Used by one thread.
 *
 * <p>Records of one partition go into one block for each subtask that they are for, and these blocks into one {@link Fetched}, whose offset is
 * that of its last record. The source's thread emits all of a Fetched before a barrier, or none: so the offset in a checkpoint is
 * always behind everything that was emitted and in front of everything that was not. All but the last of its blocks say that more follow
 * ({@link PackedIn#FLAG_MORE}): a watermark between them would overtake older records.
 */
final class BlockPacker {
  /** A Fetched that has as many bytes is complete: about one network buffer. */
  static final int FULL = 30_000;

  private final PackedDeserializer packer;
  private final int maxParallelism;
  private final PackedBlock[] blocks;

  /**
   * @param packer packs the records
   * @param maxParallelism of the keyed operator
   * @param parallelism of the keyed operator
   */
  BlockPacker(PackedDeserializer packer, int maxParallelism, int parallelism) {
    this.packer = packer;
    this.maxParallelism = maxParallelism;
    blocks = new PackedBlock[parallelism];
    for (int i = 0; i < parallelism; i++) {
      blocks[i] = new PackedBlock();
    }
  }

  /** What the source's thread takes as one record of a partition. */
  static final class Fetched extends ConsumerRecord<byte[], byte[]> {
    final List<byte[]> blocks;

    Fetched(ConsumerRecord<byte[], byte[]> last, List<byte[]> blocks) {
      super(last.topic(), last.partition(), last.offset(), null, null);
      this.blocks = blocks;
    }
  }

  RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> pack(RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> polled) {
    Map<String, Collection<ConsumerRecord<byte[], byte[]>>> splits = new LinkedHashMap<>();
    for (String split = polled.nextSplit(); split != null; split = polled.nextSplit()) {
      splits.put(split, packed(polled));
    }
    return new RecordsBySplits<>(splits, polled.finishedSplits());
  }

  /** The records of the current split. */
  private List<ConsumerRecord<byte[], byte[]>> packed(RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> polled) {
    List<ConsumerRecord<byte[], byte[]>> fetched = new ArrayList<>();
    ConsumerRecord<byte[], byte[]> last = null;
    int bytes = 0;
    for (ConsumerRecord<byte[], byte[]> r = polled.nextRecordFromSplit(); r != null; r = polled.nextRecordFromSplit()) {
      bytes += blocks[blocks.length == 1 ? 0 : packer.subtask(r, maxParallelism, blocks.length)].add(packer, r);
      last = r;
      if (bytes >= FULL) {
        fetched.add(new Fetched(last, taken()));
        bytes = 0;
      }
    }
    if (bytes > 0) {
      fetched.add(new Fetched(last, taken()));
    }
    return fetched;
  }

  private List<byte[]> taken() {
    List<byte[]> full = new ArrayList<>(blocks.length);
    for (PackedBlock block : blocks) {
      if (block.size() > 0) {
        full.add(block.take());
      }
    }
    for (byte[] block : full.subList(0, full.size() - 1)) {
      block[0] |= PackedIn.FLAG_MORE;
    }
    return full;
  }
}

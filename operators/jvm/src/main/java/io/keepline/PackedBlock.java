package io.keepline;

import java.util.Arrays;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/** Packed records, one behind the other, that all belong to one subtask of the operator. */
final class PackedBlock {
  private byte[] bytes = new byte[1 << 12];
  private int used;

  /** Returns the packed record's size. */
  int add(PackedDeserializer packer, ConsumerRecord<byte[], byte[]> record) {
    int size = packer.size(record);
    if (size > bytes.length - used) {
      bytes = Arrays.copyOf(bytes, Math.max(2 * bytes.length, used + size));
    }
    packer.pack(record, bytes, used);
    used += size;
    return size;
  }

  int size() {
    return used;
  }

  /** The block; what is added from now on begins the next. */
  byte[] take() {
    byte[] block = Arrays.copyOf(bytes, used);
    used = 0;
    return block;
  }

  /**
   * The subtask to which keyBy sends this key: Flink's assignment of {@link PackedIn#stateKey}, without making the string.
   *
   * @param maxParallelism of the keyed operator
   * @param parallelism of the keyed operator
   */
  static int subtask(byte[] b, int from, int to, int maxParallelism, int parallelism) {
    int hash = 0;
    for (int i = from; i < to; i++) {
      hash = 31 * hash + (b[i] & 255);
    }
    int keyGroup = KeyGroupRangeAssignment.computeKeyGroupForKeyHash(hash, maxParallelism);
    return KeyGroupRangeAssignment.computeOperatorIndexForKeyGroup(maxParallelism, parallelism, keyGroup);
  }
}

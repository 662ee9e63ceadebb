package io.keepline.peer;

import java.io.IOException;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A state on its way to RocksDB or a checkpoint: the number of its words of eight bytes, a bit for each that is not zero, those words. Many
 * buckets of a usual customer are empty, and RocksDB writes every byte several times over.
 */
public final class StateSerializer extends TypeSerializer<byte[]> {
  private static final long serialVersionUID = 1L;
  private static final int WORD = 8;
  private static final int MOST_WORDS = (Layout.BILLS + 9 * Layout.BILL_BYTES) / WORD;
  private static final int MOST_BYTES = 2 + WORD * ((MOST_WORDS + 63) / 64) + WORD * MOST_WORDS;

  // One serializer serves one thread: Flink duplicates it for others.
  private transient byte[] scratch;

  @Override
  public void serialize(byte[] state, DataOutputView out) throws IOException {
    byte[] packed = scratch();
    int words = state.length / WORD;
    int mask = 2;
    int to = maskEnd(words);
    packed[0] = (byte) words;
    packed[1] = (byte) (words >> 8);
    for (int word = 0; word < words; mask += WORD) {
      long bits = 0;
      int end = Math.min(64, words - word);
      for (int bit = 0; bit < end; bit++, word++) {
        long value = Layout.getLong(state, WORD * word);
        Layout.putLong(packed, to, value); // the next one overwrites a zero
        int kept = value == 0 ? 0 : 1;
        bits |= (long) kept << bit;
        to += kept << 3;
      }
      Layout.putLong(packed, mask, bits);
    }
    out.write(packed, 0, to);
  }

  @Override
  public byte[] deserialize(DataInputView in) throws IOException {
    byte[] packed = scratch();
    int words = (in.readByte() & 0xff) | in.readByte() << 8;
    byte[] state = new byte[WORD * words];
    int end = maskEnd(words);
    in.readFully(packed, 2, end - 2);
    int kept = 0;
    for (int mask = 2; mask < end; mask += WORD) {
      kept += Long.bitCount(Layout.getLong(packed, mask));
    }
    in.readFully(packed, end, WORD * kept);
    int from = end;
    int first = 0;
    for (int mask = 2; mask < end; mask += WORD, first += 64 * WORD) {
      for (long bits = Layout.getLong(packed, mask); bits != 0; bits &= bits - 1, from += WORD) {
        Layout.putLong(state, first + WORD * Long.numberOfTrailingZeros(bits), Layout.getLong(packed, from));
      }
    }
    return state;
  }

  private static int maskEnd(int words) {
    return 2 + WORD * ((words + 63) / 64);
  }

  private byte[] scratch() {
    if (scratch == null) {
      scratch = new byte[MOST_BYTES + WORD];
    }
    return scratch;
  }

  @Override
  public byte[] copy(byte[] state) {
    return state.clone();
  }

  @Override
  public byte[] copy(byte[] state, byte[] reuse) {
    return state.clone();
  }

  @Override
  public void copy(DataInputView in, DataOutputView out) throws IOException {
    serialize(deserialize(in), out);
  }

  @Override
  public byte[] deserialize(byte[] reuse, DataInputView in) throws IOException {
    return deserialize(in);
  }

  @Override
  public byte[] createInstance() {
    return new byte[0];
  }

  @Override
  public boolean isImmutableType() {
    return false;
  }

  @Override
  public int getLength() {
    return -1;
  }

  @Override
  public TypeSerializer<byte[]> duplicate() {
    return new StateSerializer();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof StateSerializer;
  }

  @Override
  public int hashCode() {
    return StateSerializer.class.hashCode();
  }

  @Override
  public TypeSerializerSnapshot<byte[]> snapshotConfiguration() {
    return new Snapshot();
  }

  /** What a savepoint says about the serializer. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<byte[]> {
    public Snapshot() {
      super(StateSerializer::new);
    }
  }
}

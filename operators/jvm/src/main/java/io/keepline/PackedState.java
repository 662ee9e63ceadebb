package io.keepline;

import java.util.Arrays;

/**
 * A state as it lies in Flink's keyed state: those of its words of 8 bytes that are not 0, behind a map of where they belong. Most of a
 * customer's counters are 0 for most of the time, so a checkpoint writes, and the heap keeps, a part of the state's size.
 *
 * <pre>
 * 0 u16 0, with which no state begins that is not packed      2 u8 form, 1      3 u8 0      4 i32 bytes of the whole state
 * 8 map: bit w of long w / 64 is set where word w is not 0      behind it: these words, in order. Little-endian.
 * </pre>
 */
final class PackedState {
  private static final int FORM = 1;
  private static final int MAP = 8;

  private PackedState() {}

  static boolean isPacked(byte[] stored) {
    return stored.length >= MAP && stored[0] == 0 && stored[1] == 0;
  }

  private static int longs(int size) {
    return (size / 8 + 63) / 64;
  }

  /** How many bytes a packed state of this size may have, and one word more, which {@link #pack} may write behind it. */
  static int room(int size) {
    return MAP + 8 * longs(size) + size + 8;
  }

  /**
   * A fresh array of a state whose length is a multiple of 8, since Flink's heap backend keeps what it is given, made in a buffer of
   * {@link #room} bytes. Every word is written, and overwritten by the next where it is 0: a branch here would be guessed wrong too often.
   */
  static byte[] pack(byte[] state, byte[] buffer) {
    int map = longs(state.length);
    int to = MAP + 8 * map;
    for (int group = 0; group < map; group++) {
      long bits = 0;
      for (int at = 512 * group, end = Math.min(at + 512, state.length); at < end; at += 8) {
        long word = PackedIn.longAt(state, at);
        long kept = (word | -word) >>> 63;
        bits |= kept << (at >> 3);
        PackedIn.LONG.set(buffer, to, word);
        to += (int) kept << 3;
      }
      PackedIn.LONG.set(buffer, MAP + 8 * group, bits);
    }
    byte[] packed = Arrays.copyOf(buffer, to);
    PackedIn.LONG.set(packed, 0, (long) state.length << 32 | FORM << 16);
    return packed;
  }

  /** The whole state, of whatever size it was packed. IllegalStateException where the bytes are no packed state. */
  static byte[] unpack(byte[] packed) {
    int size = PackedIn.intAt(packed, 4);
    int map = longs(size);
    if (packed[2] != FORM || size < 8 || size % 8 != 0 || packed.length < MAP + 8 * map) {
      throw broken(packed, "form " + packed[2] + ", " + size + " bytes; expected form " + FORM + " and a multiple of 8");
    }
    byte[] state = new byte[size];
    int at = MAP + 8 * map;
    for (int group = 0; group < map; group++) {
      long bits = PackedIn.longAt(packed, MAP + 8 * group);
      for (; bits != 0; bits &= bits - 1) {
        int word = 64 * group + Long.numberOfTrailingZeros(bits);
        if (8 * word >= size || at > packed.length - 8) {
          throw broken(packed, "its map of words does not fit its length");
        }
        PackedIn.LONG.set(state, 8 * word, PackedIn.longAt(packed, at));
        at += 8;
      }
    }
    if (at != packed.length) {
      throw broken(packed, (packed.length - at) + " bytes are left behind its words");
    }
    return state;
  }

  private static IllegalStateException broken(byte[] packed, String what) {
    return new IllegalStateException("a stored state of " + packed.length + " bytes (" + Arrays.toString(Arrays.copyOf(packed, MAP))
        + " …) is not as this version packs it: " + what);
  }
}

package io.keepline;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** States packed for Flink's keyed state, and back. */
class PackedStateTest {
  private static byte[] pack(byte[] state) {
    return PackedState.pack(state, new byte[PackedState.room(state.length)]);
  }

  @Test
  void everyStateComesBackWhateverIsZero() {
    Random random = new Random(5);
    for (int round = 0; round < 2000; round++) {
      byte[] state = new byte[64 * (1 + random.nextInt(60))];
      int share = random.nextInt(101);
      int used = 0;
      for (int w = 0; w < state.length / 8; w++) {
        if (random.nextInt(100) < share) {
          PackedIn.LONG.set(state, 8 * w, random.nextBoolean() ? random.nextLong() | 1 : 1L << random.nextInt(64));
          used++;
        }
      }
      byte[] packed = pack(state);
      assertTrue(PackedState.isPacked(packed));
      assertEquals(8 + 8 * ((state.length / 8 + 63) / 64) + 8 * used, packed.length);
      assertArrayEquals(state, PackedState.unpack(packed));
    }
  }

  @Test
  void theBytesAreAsDocumented() {
    byte[] state = new byte[128];
    state[16] = 5;
    state[127] = 6;
    byte[] wanted = {0, 0, 1, 0, (byte) 128, 0, 0, 0, 4, (byte) 128, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6};
    assertArrayEquals(wanted, pack(state));
  }

  @Test
  void whatIsNoPackedStateIsRefusedWithItsBeginning() {
    assertFalse(PackedState.isPacked(new byte[] {0x4B, 0x4C, 1, 0, 0, 0, 0, 0}), "a state of 0.1.0 begins with its magic");
    byte[] whole = pack(new byte[] {9, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3});
    byte[] form = whole.clone();
    form[2] = 2;
    byte[] wider = whole.clone();
    wider[9] = 1; // a word behind the end
    byte[] negative = whole.clone();
    negative[7] = -1;
    for (byte[] broken : new byte[][] {form, wider, negative, Arrays.copyOf(whole, whole.length - 1), Arrays.copyOf(whole, whole.length + 8),
        Arrays.copyOf(whole, 9)}) {
      String why = assertThrows(IllegalStateException.class, () -> PackedState.unpack(broken)).getMessage();
      assertTrue(why.contains("stored state of " + broken.length + " bytes"), why);
    }
  }
}

package io.keepline.peer;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** A Score in Avro single-object encoding; what is the same in all of them is encoded once. */
final class ScoreEncoder {
  // C3 01 and the CRC-64-AVRO of schemas/outputs/Score.avsc, little-endian.
  private static final long SCHEMA = 0x62c2986185e135a1L;
  private static final int MOST_NUMBERS = 10 + 1 + 8 + 1 + 10 + 10 + 2 + 16 * Model.REASONS;

  private final byte[] model;
  private final byte[][] names = new byte[Features.NAMES.length][];
  private byte[] scratch = new byte[1024];
  private int longestNames;

  ScoreEncoder(Model model) {
    byte[] id = string(model.id);
    byte[] buffer = new byte[id.length + 6];
    System.arraycopy(id, 0, buffer, 0, id.length);
    int end = putVarint(buffer, id.length, model.version);
    buffer[end++] = 0; // role CHAMPION
    this.model = Arrays.copyOf(buffer, end);
    for (int j = 0; j < names.length; j++) {
      names[j] = string(Features.NAMES[j]);
      longestNames = Math.max(longestNames, Model.REASONS * names[j].length);
    }
  }

  /** The Score of the model's newest row. */
  byte[] encode(Event event, double value, int band, long asOf, double[] row, Model scored) {
    int most = MOST_NUMBERS + model.length + longestNames + event.customerLength + event.idLength + 10;
    if (scratch.length < most) {
      scratch = new byte[2 * most];
    }
    byte[] out = scratch;
    out[0] = (byte) 0xC3;
    out[1] = 1;
    Layout.putLong(out, 2, SCHEMA);
    int p = putVarint(out, 10, event.customerLength);
    System.arraycopy(event.value, event.customerAt, out, p, event.customerLength);
    p += event.customerLength;
    out[p++] = 0; // score churn
    Layout.putDouble(out, p, value);
    p += 8;
    out[p++] = (byte) (band << 1);
    p = putVarint(out, p, asOf);
    p = putVarint(out, p, event.idLength);
    System.arraycopy(event.value, event.idAt, out, p, event.idLength);
    p += event.idLength;
    System.arraycopy(model, 0, out, p, model.length);
    p += model.length;
    out[p++] = 2 * Model.REASONS; // one block of three
    for (int j : scored.reasons) {
      byte[] name = names[j];
      System.arraycopy(name, 0, out, p, name.length);
      p += name.length;
      Layout.putDouble(out, p, row[j]);
      Layout.putDouble(out, p + 8, scored.contributions[j]);
      p += 16;
    }
    out[p++] = 0;
    return Arrays.copyOf(out, p);
  }

  private static byte[] string(String text) {
    byte[] utf8 = text.getBytes(StandardCharsets.UTF_8);
    byte[] buffer = new byte[utf8.length + 5];
    int p = putVarint(buffer, 0, utf8.length);
    System.arraycopy(utf8, 0, buffer, p, utf8.length);
    return Arrays.copyOf(buffer, p + utf8.length);
  }

  private static int putVarint(byte[] out, int at, long value) {
    long rest = (value << 1) ^ (value >> 63);
    int p = at;
    while ((rest & ~0x7fL) != 0) {
      out[p++] = (byte) (rest | 0x80);
      rest >>>= 7;
    }
    out[p++] = (byte) rest;
    return p;
  }
}

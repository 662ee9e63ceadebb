package io.keepline;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.java.functions.KeySelector;

/** Key of a frame, as the exchange and keyed state know it. ISO-8859-1 maps bytes to characters one to one, so that any key survives. */
public final class FrameKey implements KeySelector<byte[], String> {
  private static final long serialVersionUID = 1L;

  @Override
  public String getKey(byte[] frame) {
    return of(frame, 0);
  }

  /** Of the frame at {@code at} of a block. */
  static String of(byte[] block, int at) {
    return new String(block, at + PackedOut.HEADER, PackedIn.intAt(block, at + PackedOut.KEY_LENGTH), StandardCharsets.ISO_8859_1);
  }
}

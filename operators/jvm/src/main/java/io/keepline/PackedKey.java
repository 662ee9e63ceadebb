package io.keepline;

import org.apache.flink.api.java.functions.KeySelector;

/** Key of a packed record, as the exchange and keyed state know it. The operator itself looks keys up by their raw bytes. */
public final class PackedKey implements KeySelector<byte[], String> {
  private static final long serialVersionUID = 1L;

  @Override
  public String getKey(byte[] record) {
    return PackedIn.stateKey(record);
  }
}

package io.keepline.peer;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.java.functions.KeySelector;

/** The customer id of a framed event. */
public final class CustomerKey implements KeySelector<byte[], String> {
  private static final long serialVersionUID = 1L;

  @Override
  public String getKey(byte[] value) {
    return new String(value, TelemetryDeserializer.customerAt(value), TelemetryDeserializer.customerLength(value), StandardCharsets.UTF_8);
  }
}

package io.keepline;

import net.jpountz.lz4.LZ4Factory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Makes Kafka's client compress by lz4's native library. The library is loaded unasked only where it was started with the JVM; from a job's
 * jar the client would take lz4 written in Java.
 */
final class NativeLz4 {
  private static final Logger LOG = LoggerFactory.getLogger(NativeLz4.class);

  private NativeLz4() {}

  /** Loads it, once for this class loader. Where that cannot be done, all works as before. */
  static void load() {
    try {
      LZ4Factory.nativeInstance();
    } catch (LinkageError | RuntimeException e) {
      LOG.info("lz4 stays in Java: its native library cannot be loaded here", e);
    }
  }
}

package io.keepline;

import org.apache.flink.metrics.MetricGroup;

/** What operator and kernel count, as gauges of the operator's metric group. Written by the task thread, read by reporters; a stale read does no harm. */
final class OperatorStats {
  /** The kernel's counters, in the order of {@code operators/layout.py}. */
  private static final String[] KERNEL = {"acceptedEvents", "duplicateEvents", "lateEvents", "deadLetters", "ticks", "scores"};

  private final long[] kernel = new long[KERNEL.length];
  volatile long misses;
  volatile long evictions;
  volatile long written;
  private volatile long runs;
  private volatile long entries;
  private volatile long pythonNanos;
  private volatile long emitNanos;
  private volatile long barriers;
  private volatile long writeBackNanos;
  private volatile long writeBackMaxNanos;

  OperatorStats(MetricGroup group, Slab slab) {
    for (int i = 0; i < KERNEL.length; i++) {
      int counter = i;
      group.gauge(KERNEL[i], () -> kernel[counter]);
    }
    group.gauge("entries", () -> entries);
    group.gauge("batches", () -> runs);
    group.gauge("batchMean", () -> runs == 0 ? 0.0 : (double) entries / runs);
    group.gauge("residentStates", slab::resident);
    group.gauge("stateMisses", () -> misses);
    group.gauge("stateEvictions", () -> evictions);
    group.gauge("statesWritten", () -> written);
    group.gauge("barriers", () -> barriers);
    group.gauge("writeBackMicros", () -> writeBackNanos / 1000);
    group.gauge("writeBackMaxMicros", () -> writeBackMaxNanos / 1000);
    group.gauge("pythonMicros", () -> pythonNanos / 1000);
    group.gauge("emitMicros", () -> emitNanos / 1000);
  }

  void ran(int consumed, long python, long emit, Batch batch) {
    for (int i = 0; i < KERNEL.length; i++) {
      kernel[i] = batch.counter(i);
    }
    runs++;
    entries += consumed;
    pythonNanos += python;
    emitNanos += emit;
  }

  void wroteBack(long nanos) {
    barriers++;
    writeBackNanos += nanos;
    writeBackMaxNanos = Math.max(writeBackMaxNanos, nanos);
  }
}

package io.keepline;

import java.io.IOException;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/**
 * What operator and kernel count, as metrics of the operator's group, below "keepline". Counters begin at 0 when the operator is opened.
 * Written by the task thread, read by reporters; a stale read does no harm. docs/monitoring.md says what each means.
 */
final class OperatorStats {
  /** The scope of all our metrics, below the operator's. */
  static final String SCOPE = "keepline";
  /** Frames of this channel, the scores, are timed from the producer's header to their emission. */
  private static final int TIMED_CHANNEL = 0;

  private final KernelMetrics kernel;
  private final Buckets latency = new Buckets(Buckets.LATENCY_MS);
  private long entries;
  private long batches;
  private long frames;
  private long misses;
  private long evictions;
  private long written;
  private long pythonNanos;
  private long emitNanos;
  private long writeBacks;
  private long writeBackNanos;
  private long writeBackLastNanos;
  private long writeBackMaxNanos;
  private long ahead;
  private long aheadNanos;
  private long watermark = Long.MIN_VALUE;

  OperatorStats(MetricGroup operator, Slab slab, byte[] description) throws IOException {
    MetricGroup group = operator.addGroup(SCOPE);
    kernel = new KernelMetrics(group, description);
    counter(group, "entries_total", () -> entries);
    counter(group, "batches_total", () -> batches);
    counter(group, "frames_total", () -> frames);
    counter(group, "python_ms_total", () -> pythonNanos / 1_000_000);
    counter(group, "emit_ms_total", () -> emitNanos / 1_000_000);
    counter(group, "state_misses_total", () -> misses);
    counter(group, "state_evictions_total", () -> evictions);
    counter(group, "states_written_total", () -> written);
    counter(group, "write_backs_total", () -> writeBacks);
    counter(group, "write_back_ms_total", () -> writeBackNanos / 1_000_000);
    counter(group, "states_written_ahead_total", () -> ahead);
    counter(group, "write_ahead_ms_total", () -> aheadNanos / 1_000_000);
    gauge(group, "write_back_last_ms", () -> writeBackLastNanos / 1e6);
    gauge(group, "write_back_max_ms", () -> writeBackMaxNanos / 1e6);
    gauge(group, "resident_states", () -> slab.resident());
    gauge(group, "resident_states_limit", () -> slab.capacity);
    gauge(group, "state_bytes", () -> slab.stateSize);
    gauge(group, "watermark_lag_ms", () -> watermark == Long.MIN_VALUE ? Double.NaN : System.currentTimeMillis() - watermark);
    latency.register(group, "created_to_scored_ms");
  }

  private static void counter(MetricGroup group, String name, Buckets.Read count) {
    group.counter(name, count);
  }

  /** A level; NaN where there is none yet. */
  private interface Level {
    double now();
  }

  private static void gauge(MetricGroup group, String name, Level level) {
    group.gauge(name, (Gauge<Double>) level::now);
  }

  void ran(int consumed, long python, long emit, Batch batch) {
    kernel.read(batch);
    batches++;
    entries += consumed;
    pythonNanos += python;
    emitNanos += emit;
  }

  void emitted(byte[] block, long now) {
    for (int at = 0, next; at < block.length; at = next) {
      next = PackedOut.next(block, at);
      frames++;
      long created = PackedIn.longAt(block, at + PackedOut.CREATED_MS);
      if (created != 0 && block[at + PackedOut.CHANNEL] == TIMED_CHANNEL) {
        latency.add(Math.max(0, now - created));
      }
    }
  }

  void missed() {
    misses++;
  }

  void evicted() {
    evictions++;
  }

  void wrote() {
    written++;
  }

  void wroteBack(long nanos) {
    writeBacks++;
    writeBackNanos += nanos;
    writeBackLastNanos = nanos;
    writeBackMaxNanos = Math.max(writeBackMaxNanos, nanos);
  }

  void wroteAhead(int states, long nanos) {
    ahead += states;
    aheadNanos += nanos;
  }

  void passed(long mark) {
    watermark = mark;
  }
}

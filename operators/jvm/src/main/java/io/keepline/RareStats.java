package io.keepline;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.SimpleCounter;

/**
 * What {@link RareOperator} counts, as metrics of its group, below "keepline". Python gives names to what passes by (JSON,
 * {@code operators/rare.py}): {@code {"kind": "frames", "name": "decisions_total", "channel": 2}} counts the frames of a channel, "info" is a
 * constant 1 with labels. docs/monitoring.md says what each means.
 */
final class RareStats {
  private final MetricGroup group;
  private final Map<Integer, Counter> channels = new HashMap<>();
  private final long[] frames = new long[256];
  private final Counter elements;
  private final Counter timers;
  private final Counter written;
  private final Counter dropped;
  private long pythonNanos;

  RareStats(MetricGroup operator, byte[] description) throws IOException {
    group = operator.addGroup(OperatorStats.SCOPE);
    elements = group.counter("rare_elements_total", new SimpleCounter());
    timers = group.counter("rare_timers_total", new SimpleCounter());
    written = group.counter("rare_states_written_total", new SimpleCounter());
    dropped = group.counter("rare_states_dropped_total", new SimpleCounter());
    group.counter("rare_python_ms_total", (Buckets.Read) () -> pythonNanos / 1_000_000);
    for (JsonNode metric : new ObjectMapper().readTree(description)) {
      MetricGroup labelled = KernelMetrics.labelled(group, metric);
      String name = metric.path("name").asText();
      int channel = metric.path("channel").asInt();
      switch (metric.path("kind").asText()) {
        case "frames" -> labelled.counter(name, (Buckets.Read) () -> frames[channel]);
        case "info" -> labelled.gauge(name, (Gauge<Integer>) () -> 1);
        default -> throw new IllegalArgumentException("the kernel describes a metric of no known kind: " + metric);
      }
    }
  }

  void received() {
    elements.inc();
  }

  void fired() {
    timers.inc();
  }

  void ran(long nanos) {
    pythonNanos += nanos;
  }

  void wrote(boolean drop) {
    (drop ? dropped : written).inc();
  }

  /** Counts each frame but those for the view alone under its channel's number, which is a series from its first frame on. */
  void emitted(byte[] block) {
    for (int at = 0, next; at < block.length; at = next) {
      next = PackedOut.next(block, at);
      if ((block[at + PackedOut.FLAGS] & PackedOut.VIEW_ONLY) != 0) {
        continue;
      }
      int channel = block[at + PackedOut.CHANNEL] & 255;
      frames[channel]++;
      channels.computeIfAbsent(channel, this::series);
    }
  }

  private Counter series(int channel) {
    return group.addGroup("channel", Integer.toString(channel)).counter("rare_frames_total", (Buckets.Read) () -> frames[channel]);
  }
}

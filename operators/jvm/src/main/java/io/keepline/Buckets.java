package io.keepline;

import java.util.Arrays;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/**
 * A histogram as Prometheus has it: counts of values up to each bound, cumulative, with a sum, so that quantiles over any time and any
 * number of subtasks can be computed where the metrics are read. (Flink's own Histogram is exported as quantiles, which do not add up.)
 *
 * <p>One thread adds, reporters read; a stale read does no harm.
 */
public final class Buckets {
  /** Upper bounds of latencies in milliseconds, from a network's round trip to a checkpoint's time-out. */
  public static final double[] LATENCY_MS = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 600_000};

  private final double[] bounds;
  private final long[] counts;
  private double sum;

  /** @param bounds ascending; a value above the last is counted in +Inf alone */
  public Buckets(double... bounds) {
    this.bounds = bounds;
    counts = new long[bounds.length + 1];
  }

  public void add(double value) {
    add(value, 1);
  }

  /** {@code n} times the same. */
  public void add(double value, long n) {
    int at = Arrays.binarySearch(bounds, value);
    counts[at >= 0 ? at : -at - 1] += n; // a bound belongs to its bucket
    sum += n * value;
  }

  /** Metrics NAME_le_bucket{le="…"}, NAME_sum, NAME_count; Flink puts a label's name into the metric's. */
  public void register(MetricGroup group, String name) {
    register(group, name, bounds, i -> counts[i], () -> sum);
  }

  /** A count by its place. */
  interface Counts {
    long at(int bucket);
  }

  /** The same for counts kept elsewhere: one for each bound and, where {@code counts} answers it, one beyond the last. */
  static void register(MetricGroup group, String name, double[] bounds, Counts counts, Gauge<Double> sum) {
    MetricGroup own = group.addGroup(name);
    for (int i = 0; i <= bounds.length; i++) {
      int last = i;
      own.addGroup("le", i < bounds.length ? label(bounds[i]) : "+Inf").counter("bucket", (Read) () -> upTo(counts, last));
    }
    own.counter("count", (Read) () -> upTo(counts, bounds.length));
    own.gauge("sum", sum);
  }

  private static long upTo(Counts counts, int last) {
    long n = 0;
    for (int i = 0; i <= last; i++) {
      n += counts.at(i);
    }
    return n;
  }

  private static String label(double bound) {
    return bound == Math.rint(bound) ? Long.toString((long) bound) : Double.toString(bound);
  }

  /** A counter that is only read: what it counts stands elsewhere. */
  @FunctionalInterface
  public interface Read extends Counter {
    @Override
    long getCount();

    @Override
    default void inc() {
      throw new UnsupportedOperationException();
    }

    @Override
    default void inc(long n) {
      throw new UnsupportedOperationException();
    }

    @Override
    default void dec() {
      throw new UnsupportedOperationException();
    }

    @Override
    default void dec(long n) {
      throw new UnsupportedOperationException();
    }
  }
}

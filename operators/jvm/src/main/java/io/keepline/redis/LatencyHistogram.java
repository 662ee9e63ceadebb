package io.keepline.redis;

/**
 * Counts of latencies in logarithmic buckets: exact below 32 ms, then 32 buckets an octave, hence 3 % wide at most. Thread-safe.
 */
public final class LatencyHistogram {
  private static final int EXACT = 32;
  private static final int BITS = 5;
  private final long[] counts = new long[EXACT * (64 - BITS)];
  private long count;
  private long max;

  public void add(long ms) {
    add(ms, 1);
  }

  /** {@code n} times the same. */
  public synchronized void add(long ms, long n) {
    long v = Math.max(0, ms);
    counts[bucket(v)] += n;
    count += n;
    max = Math.max(max, v);
  }

  public synchronized long count() {
    return count;
  }

  public synchronized long max() {
    return max;
  }

  /** The latency that the share {@code q} of all does not exceed, in ms; 0 where there are none. */
  public synchronized long quantile(double q) {
    long rank = (long) Math.ceil(q * count);
    long seen = 0;
    for (int i = 0; i < counts.length && count > 0; i++) {
      seen += counts[i];
      if (seen >= Math.max(1, rank)) {
        return Math.min(max, upper(i));
      }
    }
    return 0;
  }

  static int bucket(long v) {
    if (v < EXACT) {
      return (int) v;
    }
    int octave = 63 - Long.numberOfLeadingZeros(v) - BITS;
    return EXACT * (octave + 1) + (int) (v >>> octave) - EXACT;
  }

  /** The largest value of a bucket. */
  static long upper(int bucket) {
    if (bucket < EXACT) {
      return bucket;
    }
    int octave = bucket / EXACT - 1;
    return ((long) (bucket % EXACT + EXACT + 1) << octave) - 1;
  }
}

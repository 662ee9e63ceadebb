package io.keepline;

/**
 * How many changed states to write ahead of the next barrier, so that it finds few and is over soon.
 *
 * <p>Barriers come at intervals; the next is expected after the longest of the last few. The time that all changed states will take is their
 * number times what one has taken of late. Where that is short, nothing is written ahead: a state that changes again would be written twice. Else
 * writing begins twice as long before the barrier as it will take, oldest first, after each batch in proportion to the time that is left: so
 * events go on at half speed for a while instead of standing still. If the barrier does not come when expected, writing ahead ends soon.
 *
 * <p>Only speed depends on it: at the barrier all that is left is written, whatever this has said. Times in nanoseconds of one clock.
 */
class WriteBackPace {
  private static final long MS = 1_000_000;
  /** A barrier may take so long without anything written ahead. */
  static final long SHORT = 10 * MS;
  /** Between two batches at most so long is spent on writing. */
  static final long SLICE = 2 * MS;
  /** How long a barrier may be later than expected before writing ahead ends. */
  static final long GRACE = 50 * MS;
  private static final long FIRST_COST = 2000;

  private final long[] gaps = new long[4];
  private int barriers;
  private long last;
  private long cost = FIRST_COST;
  private long called;

  /** A barrier has arrived at {@code now}. */
  void barrier(long now) {
    if (barriers > 0) {
      gaps[barriers % gaps.length] = now - last;
    }
    barriers++;
    last = now;
    called = now;
  }

  /** {@code states} have been written within {@code took}. */
  void wrote(int states, long took) {
    if (states > 0) {
      cost = Math.max(100, cost + (took / states - cost) * Math.min(states, 1000) / 2000);
    }
  }

  /** How many of {@code dirty} states to write now. */
  int due(long now, int dirty) {
    long since = now - called;
    called = now;
    long all = dirty * cost;
    if (barriers < 2 || all <= SHORT) {
      return 0;
    }
    long expected = Math.max(Math.max(gaps[0], gaps[1]), Math.max(gaps[2], gaps[3]));
    long left = last + expected - now;
    long lead = Math.min(2 * all, expected / 2);
    if (left > lead || left < -GRACE) {
      return 0;
    }
    double share = Math.min(1, since / (double) Math.max(left, SLICE));
    return (int) Math.min(Math.ceil(dirty * share), SLICE / cost + 1);
  }
}

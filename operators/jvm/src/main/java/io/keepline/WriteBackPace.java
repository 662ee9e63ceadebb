package io.keepline;

import java.util.Arrays;

/**
 * How many changed states to write ahead of the next barrier, so that it finds few and is over soon.
 *
 * <p>Checkpoints are triggered at intervals, and a barrier carries the time at which its checkpoint was. So the next barrier is expected one
 * interval behind the last trigger, and as much later as the quickest of the last few barriers took to arrive. The interval is the shortest of
 * the last few, but for those that a savepoint in between has cut. The time that all changed states will take is their number times what one has taken of
 * late. Where that is short, nothing is written ahead: a state that changes again would be written twice. Else writing begins twice as long
 * before the barrier as it will take, after each batch in proportion to the time that is left: events go on slowly for a while
 * instead of standing still. A barrier that is late, perhaps behind events that had to wait for the writing, is waited for a little.
 *
 * <p>Where states change again sooner than that, writing ahead only writes them twice. A barrier that still finds more than half of what was
 * changed when the writing began says so, and writing ahead rests for some barriers before it is tried again.
 *
 * <p>Only speed depends on it: at the barrier all that is left is written, whatever this has said. Times are nanoseconds of one clock.
 */
class WriteBackPace {
  private static final long MS = 1_000_000;
  private static final int REMEMBERED = 4;
  /** A barrier may take so long without anything written ahead. */
  static final long SHORT = 30 * MS;
  /** Between two batches at most so long is spent on writing. */
  static final long SLICE = 8 * MS;
  /** How much later than expected a barrier may be before writing ahead ends. */
  static final long GRACE = 500 * MS;
  private static final long FIRST_COST = 2000;
  /** So many barriers writing ahead rests where it did not help. */
  static final int REST = 15;

  private final long[] gaps = new long[REMEMBERED];
  private final long[] delays = new long[REMEMBERED];
  private int barriers;
  private long triggered;
  private long next;
  private long gap;
  private long cost = FIRST_COST;
  private long called;
  private boolean begun;
  private int before;
  private int rest;

  /** A barrier has arrived at {@code now}, {@code delay} after its checkpoint was triggered, by the clocks of two machines perhaps. */
  void barrier(long now, long delay) {
    delays[barriers % REMEMBERED] = delay;
    gaps[barriers % REMEMBERED] = barriers == 0 ? 0 : now - delay - triggered;
    triggered = now - delay;
    barriers++;
    called = now;
    begun = false;
    int known = Math.min(barriers, REMEMBERED);
    long longest = Arrays.stream(gaps, 0, known).max().getAsLong();
    gap = Arrays.stream(gaps, 0, known).filter(each -> each >= longest / 4 * 3).min().getAsLong();
    next = triggered + gap + Arrays.stream(delays, 0, known).min().getAsLong();
  }

  /** A barrier has found {@code left} changed states. Called before {@link #barrier}. */
  void found(int left) {
    if (begun) {
      rest = left > before / 2 ? REST : 0;
    } else if (rest > 0) {
      rest--;
    }
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
    long left = next - now;
    if (barriers < 2 || left > Math.min(2 * all, gap / 2) || left < -Math.min(GRACE, gap / 4) || !begun && (all <= SHORT || rest > 0)) {
      return 0;
    }
    if (!begun) {
      begun = true;
      before = dirty;
    }
    double share = Math.min(1, since / (double) Math.max(left, SLICE));
    return (int) Math.min(Math.ceil(dirty * share), SLICE / cost + 1);
  }
}

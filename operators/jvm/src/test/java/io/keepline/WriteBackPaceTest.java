package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Writing ahead of barriers, on a clock of the test's own. */
class WriteBackPaceTest {
  private static final long MS = 1_000_000;
  private static final long COST = 1000;

  /** A simulated operator with a barrier each {@code interval} ms: each ms dirties some of its states; what is dirty at each barrier. */
  private static List<Integer> dirtyAtBarriers(int perMs, int interval, int customers, int barriers) {
    WriteBackPace pace = new WriteBackPace();
    List<Integer> found = new ArrayList<>();
    long now = 5;
    int dirty = 0;
    for (long barrier = interval * MS; found.size() < barriers; ) {
      now += MS;
      dirty += (int) (perMs * (long) (customers - dirty) / customers);
      int due = Math.min(dirty, pace.due(now, dirty));
      dirty -= due;
      now += due * COST;
      pace.wrote(due, due * COST);
      if (now >= barrier) {
        found.add(dirty);
        pace.found(dirty);
        pace.wrote(dirty, dirty * COST);
        pace.barrier(now, now - barrier);
        now += dirty * COST;
        dirty = 0;
        barrier += interval * MS;
      }
    }
    return found;
  }

  @Test
  void aLargeDirtySetIsMostlyWrittenBeforeTheBarrier() {
    List<Integer> dirty = dirtyAtBarriers(150, 5000, 200_000, 10);
    assertTrue(dirty.get(0) > 150_000, "nothing is known yet: " + dirty);
    assertTrue(dirty.subList(2, 10).stream().allMatch(left -> left < 15_000), dirty.toString());
  }

  @Test
  void aSmallDirtySetIsLeftForTheBarrier() {
    List<Integer> dirty = dirtyAtBarriers(5000, 1000, 5000, 6);
    assertEquals(List.of(5000, 5000, 5000, 5000, 5000, 5000), dirty, "5 ms of writing is no pause worth a second write");
  }

  @Test
  void statesThatChangeAgainAtOnceAreLeftForTheBarrier() {
    List<Integer> dirty = dirtyAtBarriers(20_000, 1000, 40_000, 40);
    long all = dirty.stream().filter(left -> left >= 39_999).count();
    assertTrue(all >= 2 * WriteBackPace.REST && all < dirty.size(), "tried now and then, and found of no use: " + dirty);
  }

  @Test
  void withoutAnExpectationNothingIsWrittenAhead() {
    WriteBackPace pace = new WriteBackPace();
    assertEquals(0, pace.due(1, 1_000_000));
    pace.barrier(10 * MS, 0);
    assertEquals(0, pace.due(5000 * MS, 1_000_000));
  }

  @Test
  void aBarrierThatDoesNotComeEndsTheWriting() {
    WriteBackPace pace = new WriteBackPace();
    pace.barrier(0, 0);
    pace.barrier(1000 * MS, 0);
    assertTrue(pace.due(1999 * MS, 500_000) > 0);
    assertTrue(pace.due(2200 * MS, 500_000) > 0, "a little late is still expected");
    assertTrue(pace.due(2240 * MS, 300) > 0, "the barrier is near: what changed since is written too");
    assertEquals(0, pace.due(2251 * MS, 500_000));
    assertEquals(0, pace.due(9000 * MS, 500_000));
  }

  @Test
  void noBatchWaitsLongForTheWriting() {
    WriteBackPace pace = new WriteBackPace();
    pace.barrier(0, 0);
    pace.barrier(1000 * MS, 0);
    for (int i = 0; i < 100; i++) {
      pace.wrote(10_000, 10_000 * COST);
    }
    assertTrue(pace.due(1990 * MS, 2_000_000) * COST <= WriteBackPace.SLICE + COST + 1000);
  }

  @Test
  void theIntervalIsTheShortestThatNoSavepointHasCut() {
    WriteBackPace pace = new WriteBackPace();
    pace.barrier(0, 0);
    pace.barrier(1000 * MS, 0);
    pace.barrier(1100 * MS, 0); // a savepoint between two checkpoints
    assertEquals(0, pace.due(1199 * MS, 100_000));
    assertTrue(pace.due(2090 * MS, 100_000) > 0);
    for (int i = 1; i <= 4; i++) {
      pace.barrier((1100 + 100 * i) * MS, 0);
    }
    assertTrue(pace.due(1590 * MS, 100_000) > 0, "the old interval is forgotten");
    WriteBackPace uneven = new WriteBackPace();
    for (long at : new long[] {0, 1000, 2080, 3000}) {
      uneven.barrier(at * MS, 0);
    }
    assertEquals(0, uneven.due(3500 * MS, 100_000));
    assertTrue(uneven.due(3530 * MS, 100_000) > 0, "920 ms after the last is possible");
  }

  @Test
  void aBarrierThatWasHeldUpMovesNoExpectation() {
    WriteBackPace pace = new WriteBackPace();
    pace.barrier(1005 * MS, 5 * MS);
    pace.barrier(2300 * MS, 300 * MS); // triggered at 2000, behind a queue
    assertEquals(0, pace.due(2600 * MS, 100_000));
    assertTrue(pace.due(2900 * MS, 100_000) > 0, "the next may come at 3005");
    WriteBackPace ahead = new WriteBackPace();
    ahead.barrier(1000 * MS, -70 * MS); // the other machine's clock is ahead
    ahead.barrier(2000 * MS, -70 * MS);
    assertEquals(0, ahead.due(2590 * MS, 100_000));
    assertTrue(ahead.due(2990 * MS, 100_000) > 0);
  }
}

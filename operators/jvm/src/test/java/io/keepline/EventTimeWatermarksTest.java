package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.util.clock.RelativeClock;
import org.junit.jupiter.api.Test;

/** Watermarks under a manual clock. */
class EventTimeWatermarksTest {
  private static final long HOUR = 3_600_000L;
  private static final long WALL = 1_000_000 * HOUR;
  private static final long LOW = 100 * HOUR;
  private static final long HIGH = 2_000_000 * HOUR;
  private static final long BOUND = HOUR;

  private long activity;
  private final List<Long> emitted = new ArrayList<>();
  private final WatermarkOutput output = new WatermarkOutput() {
    @Override
    public void emitWatermark(Watermark watermark) {
      emitted.add(watermark.getTimestamp());
    }

    @Override
    public void markIdle() {
      throw new AssertionError("a split is never marked idle");
    }

    @Override
    public void markActive() {}
  };
  private final RelativeClock clock = new RelativeClock() {
    @Override
    public long relativeTimeMillis() {
      return activity;
    }

    @Override
    public long relativeTimeNanos() {
      return activity * 1_000_000;
    }
  };

  private static byte[] at(long time) {
    byte[] record = new byte[PackedIn.HEADER];
    PackedIn.LONG.set(record, PackedIn.EVENT_TIME, time);
    return record;
  }

  private EventTimeWatermarks strategy(long idleMs) {
    return new EventTimeWatermarks(BOUND, LOW, HIGH, idleMs);
  }

  private List<Long> drain() {
    List<Long> all = List.copyOf(emitted);
    emitted.clear();
    return all;
  }

  @Test
  void goesOutWhenATimerMayFireAndPeriodically() {
    EventTimeWatermarks.Generator g = strategy(0).generator(clock, () -> WALL);
    g.onPeriodicEmit(output);
    assertEquals(List.of(), drain());
    long t = 500 * HOUR;
    g.onEvent(at(t + 5), 0, output);
    assertEquals(List.of(t + 5 - BOUND - 1), drain());
    g.onEvent(at(t + 9), 0, output);
    g.onEvent(at(t + 7), 0, output);
    assertEquals(List.of(), drain());
    g.onPeriodicEmit(output);
    assertEquals(List.of(t + 9 - BOUND - 1), drain());
    g.onEvent(at(t + HOUR), 0, output);
    assertEquals(List.of(), drain()); // one millisecond short of an hour
    g.onEvent(at(t + HOUR + 1), 0, output);
    assertEquals(List.of(t + HOUR - BOUND), drain());
  }

  @Test
  void ticksStandAtTheHourWhateverTheBound() {
    for (long bound : new long[] {0, 1, HOUR / 3, HOUR, 5 * HOUR / 2}) {
      EventTimeWatermarks.Generator g = new EventTimeWatermarks(bound, LOW, HIGH, 0).generator(clock, () -> WALL);
      g.onEvent(at(500 * HOUR + bound + 1), 0, output);
      assertEquals(List.of(500 * HOUR), drain());
      g.onEvent(at(501 * HOUR + bound), 0, output);
      assertEquals(List.of(), drain());
      g.onEvent(at(501 * HOUR + bound + 1), 0, output);
      assertEquals(List.of(501 * HOUR), drain());
    }
  }

  @Test
  void everyRecordOfABlockCounts() {
    EventTimeWatermarks.Generator g = strategy(0).generator(clock, () -> WALL);
    g.onEvent(Kernels.joined(at(500 * HOUR), at(510 * HOUR), at(505 * HOUR)), 0, output);
    assertEquals(List.of(509 * HOUR - 1), drain());
  }

  @Test
  void noneGoesOutBetweenTheBlocksOfAPiece() {
    EventTimeWatermarks.Generator g = strategy(0).generator(clock, () -> WALL);
    byte[] first = at(500 * HOUR);
    first[0] |= PackedIn.FLAG_MORE;
    g.onEvent(first, 0, output);
    assertEquals(List.of(), drain());
    g.onEvent(at(490 * HOUR), 0, output);
    assertEquals(List.of(499 * HOUR - 1), drain());
  }

  @Test
  void timesThatCannotBeDoNotCount() {
    EventTimeWatermarks.Generator g = strategy(0).generator(clock, () -> WALL);
    for (long time : new long[] {Long.MIN_VALUE, -1, LOW - 1, HIGH, Long.MAX_VALUE, WALL + 24 * HOUR + 1}) {
      g.onEvent(at(time), 0, output);
    }
    assertEquals(List.of(), drain());
    g.onEvent(at(WALL + 24 * HOUR), 0, output);
    assertEquals(List.of(WALL + 23 * HOUR - 1), drain());
  }

  @Test
  void aQuietSplitFollowsTheClockButNoFurtherThanItsBusySiblings() {
    EventTimeWatermarks strategy = strategy(1000);
    EventTimeWatermarks.Generator main = strategy.generator(clock, () -> WALL);
    EventTimeWatermarks.Generator quiet = strategy.generator(clock, () -> WALL);
    EventTimeWatermarks.Generator busy = strategy.generator(clock, () -> WALL);
    quiet.onPeriodicEmit(output);
    assertEquals(List.of(), drain());
    activity = 1000;
    busy.onEvent(at(700 * HOUR), 0, output);
    drain();
    main.onPeriodicEmit(output);
    quiet.onPeriodicEmit(output);
    assertEquals(List.of(699 * HOUR - 1, 699 * HOUR - 1), drain());
    activity = 2000;
    main.onPeriodicEmit(output);
    quiet.onPeriodicEmit(output);
    busy.onPeriodicEmit(output);
    assertEquals(List.of(WALL - BOUND, WALL - BOUND, WALL - BOUND), drain());
  }

  @Test
  void withoutAnIdleTimeOnlyEventsCount() {
    EventTimeWatermarks.Generator g = strategy(0).generator(clock, () -> WALL);
    activity = Long.MAX_VALUE / 2;
    g.onPeriodicEmit(output);
    assertEquals(List.of(), drain());
  }
}

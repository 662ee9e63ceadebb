package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.keepline.Kernels.Harness;
import io.keepline.Kernels.Out;
import io.keepline.Kernels.Settings;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

/** The operator under a manual clock: when batches run, what a barrier leaves behind, which timers fire, and what survives a restore. */
class CustomerOperatorTest {
  private static final long MIN = Long.MIN_VALUE;

  @Test
  void residentStatesHaveRoomInTheirBlockAndTheirTablesOnTheHeap() {
    long gib = 1L << 30;
    assertEquals(68_949, CustomerOperator.room(3072, 202L << 20, gib));
    assertEquals(698_367, CustomerOperator.room(3072, 1L << 40, 6 * gib), "2 GiB, however much there is");
    assertEquals(gib / 4 / Slab.TABLES, CustomerOperator.room(128, 1L << 40, gib), "small states: many, and each has its row");
    assertEquals(10_000, CustomerOperator.room(3072, -1, gib), "the least");
  }

  @Test
  void aFullBatchRunsAtOnce() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      for (int i = 0; i < 7; i++) {
        h.event("a", "count");
      }
      assertEquals(List.of(), h.drain());
      h.event("b", "count");
      List<Object> out = h.drain();
      assertEquals(8, out.size());
      assertEquals(new Out(0, "a", 7, 8, MIN), out.get(6));
      assertEquals(new Out(0, "b", 1, 8, MIN), out.get(7));
    }
  }

  @Test
  void everyRecordOfABlockIsAnEvent() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.block(Kernels.record("a", "count"), Kernels.record("b", "count"), Kernels.record("a", "count"));
      h.block(Kernels.record("b", "count"));
      h.setProcessingTime(5);
      assertEquals(List.of(new Out(0, "a", 1, 4, MIN), new Out(0, "b", 1, 4, MIN), new Out(0, "a", 2, 4, MIN), new Out(0, "b", 2, 4, MIN)),
          h.drain());
    }
  }

  @Test
  void aPartialBatchWaitsForTheLingerTimeOnly() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "count");
      h.setProcessingTime(4);
      assertEquals(List.of(), h.drain());
      h.setProcessingTime(5);
      assertEquals(List.of(new Out(0, "a", 1, 1, MIN)), h.drain());
      h.event("a", "count");
      h.setProcessingTime(10);
      assertEquals(List.of(new Out(0, "a", 2, 1, MIN)), h.drain());
    }
  }

  @Test
  void withoutLingerEachEventRunsAlone() throws Exception {
    Settings s = new Settings();
    s.linger = 0;
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      assertEquals(List.of(1), h.counts());
    }
  }

  @Test
  void outputsPrecedeTheBarrierAndTheWatermark() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "count");
      h.getOperator().prepareSnapshotPreBarrier(1);
      assertEquals(List.of(1), h.counts());
      h.event("a", "count");
      h.processWatermark(new Watermark(9));
      assertEquals(List.of(new Out(0, "a", 2, 1, MIN), 9L), h.drain());
      h.event("a", "count");
      h.endInput();
      assertEquals(List.of(new Out(0, "a", 3, 1, 9)), h.drain());
    }
  }

  @Test
  void aTickRunsAfterTheEventsAndBeforeTheWatermarkGoesOn() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "timer:100");
      h.event("b", "timer:300");
      h.processWatermark(new Watermark(50));
      h.drain();
      h.event("a", "count");
      h.processWatermark(new Watermark(200));
      assertEquals(List.of(new Out(0, "a", 2, 1, 50), new Out(1, "a", 2, 1, 200), 200L), h.drain());
      assertEquals(1, h.numEventTimeTimers());
    }
  }

  @Test
  void aTimerAskedForTooLateFiresWithTheNextWatermark() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.processWatermark(new Watermark(500));
      h.event("a", "timer:100");
      h.processWatermark(new Watermark(501));
      assertEquals(List.of(500L, new Out(0, "a", 1, 1, 500), new Out(1, "a", 1, 1, 501), 501L), h.drain());
      assertEquals(0, h.numEventTimeTimers());
    }
  }

  @Test
  void aNegativeTimeDeletesThatTimer() throws Exception {
    Settings s = new Settings();
    try (Harness h = Kernels.open(s)) {
      for (String key : new String[] {"a", "b", "c"}) {
        h.event(key, "timer:100");
      }
      h.event("c", "timer:300");
      h.processWatermark(new Watermark(50));
      assertEquals(4, h.numEventTimeTimers());
      h.event("a", "untimer:100");
      h.event("b", "untimer:99"); // there is none
      h.event("c", "untimer:100");
      s.state = h.checkpoint();
      assertEquals(2, h.numEventTimeTimers());
    }
    try (Harness h = Kernels.open(s)) {
      h.processWatermark(new Watermark(299));
      assertEquals(List.of(new Out(1, "b", 2, 1, 299), 299L), h.drain());
      h.processWatermark(new Watermark(300));
      assertEquals(List.of(new Out(1, "c", 3, 1, 300), 300L), h.drain());
    }
  }

  @Test
  void aTickCanAskForTheNextTimer() throws Exception {
    Settings s = new Settings();
    s.spec = "{\"again\": 10}";
    try (Harness h = Kernels.open(s)) {
      h.event("a", "timer:100");
      h.processWatermark(new Watermark(100));
      h.processWatermark(new Watermark(109));
      assertEquals(1, h.numEventTimeTimers());
      h.drain();
      h.processWatermark(new Watermark(110));
      assertEquals(List.of(new Out(1, "a", 1, 1, 110), 110L), h.drain());
    }
  }

  @Test
  void theLargestWatermarkFiresNothing() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "timer:100");
      h.processWatermark(new Watermark(Long.MAX_VALUE));
      assertEquals(List.of(new Out(0, "a", 1, 1, MIN), Long.MAX_VALUE), h.drain());
      assertEquals(1, h.numEventTimeTimers());
    }
  }

  @Test
  void moreTimersThanABatchFireInOneWatermark() throws Exception {
    Settings s = new Settings();
    s.capacity = 9;
    try (Harness h = Kernels.open(s)) {
      for (int i = 0; i < 50; i++) {
        h.event("k" + i, "timer:100");
      }
      h.processWatermark(new Watermark(99));
      h.drain();
      h.processWatermark(new Watermark(100));
      List<Object> out = h.drain();
      assertEquals(51, out.size());
      assertEquals(100L, out.get(50));
      assertTrue(out.subList(0, 50).stream().allMatch(o -> ((Out) o).channel() == 1 && ((Out) o).count() == 1));
    }
  }

  @Test
  void stateAndTimersSurviveARestore() throws Exception {
    Settings s = new Settings();
    try (Harness h = Kernels.open(s)) {
      h.event("a", "timer:100");
      h.event("a", "count");
      h.event("gone", "count");
      h.event("gone", "clear");
      s.state = h.checkpoint();
      assertEquals(1, h.numKeyedStateEntries(), "a cleared customer leaves no state");
      h.event("a", "count"); // after the barrier: not in the snapshot
    }
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      h.event("gone", "count");
      h.processWatermark(new Watermark(100));
      assertEquals(List.of(new Out(0, "a", 3, 2, MIN), new Out(0, "gone", 1, 2, MIN), new Out(1, "a", 3, 1, 100), 100L), h.drain());
    }
  }

  @Test
  void aRestoreAtAnotherParallelismFindsEveryKey() throws Exception {
    Settings s = new Settings();
    try (Harness h = Kernels.open(s)) {
      for (int i = 0; i < 40; i++) {
        h.event("k" + i, "timer:100");
      }
      OperatorSubtaskState whole = h.checkpoint();
      Map<String, Integer> seen = new HashMap<>();
      for (int subtask = 0; subtask < 2; subtask++) {
        Settings half = new Settings();
        half.parallelism = 2;
        half.subtask = subtask;
        half.state = AbstractStreamOperatorTestHarness.repartitionOperatorState(whole, 16, 1, 2, subtask);
        try (Harness part = Kernels.open(half)) {
          part.processWatermark(new Watermark(100));
          part.drain().stream().filter(Out.class::isInstance).forEach(o -> seen.merge(((Out) o).key(), ((Out) o).count(), Integer::sum));
        }
      }
      assertEquals(40, seen.size());
      assertTrue(seen.values().stream().allMatch(count -> count == 1));
    }
  }

  @Test
  void evictedStatesComeBack() throws Exception {
    for (int ahead : new int[] {0, 3}) {
      Settings s = new Settings();
      s.capacity = 9;
      s.ahead = ahead;
      Map<String, Integer> last = new HashMap<>();
      try (Harness h = Kernels.open(s)) {
        for (int i = 0; i < 2000; i++) {
          h.event("k" + (i * 31 + i / 7) % 50, "count");
          if (i == 1000) {
            s.state = h.checkpoint();
          }
        }
        h.endInput();
        List<Object> out = h.drain();
        assertEquals(2000, out.size());
        for (Object o : out) {
          assertEquals(last.merge(((Out) o).key(), 1, Integer::sum), ((Out) o).count());
        }
      }
      try (Harness h = Kernels.open(s)) {
        for (int i = 1001; i < 2000; i++) {
          h.event("k" + (i * 31 + i / 7) % 50, "count");
        }
        h.endInput();
        Map<String, Integer> again = new HashMap<>();
        h.drain().forEach(o -> again.merge(((Out) o).key(), ((Out) o).count(), Math::max));
        again.forEach((key, count) -> assertEquals(last.get(key), count, key));
      }
    }
  }

  @Test
  void outputBeyondTheBufferTakesSeveralRuns() throws Exception {
    Settings s = new Settings();
    s.outBytes = 1024;
    try (Harness h = Kernels.open(s)) {
      for (int i = 0; i < 8; i++) {
        h.event("a", "big:400");
      }
      List<Object> out = h.drain();
      assertEquals(8, out.size());
      for (int i = 0; i < 8; i++) {
        assertEquals(new Out(0, "a", i + 1, -400, 0), out.get(i));
      }
    }
  }

  @Test
  void anEventAndAnOutputBeyondTheBuffersMakeThemGrow() throws Exception {
    Settings s = new Settings();
    s.outBytes = 1024;
    s.eventBytes = 1024;
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      h.event("b", "x".repeat(5000));
      h.event("a", "big:3000");
      h.event("b", "count");
      h.endInput();
      assertEquals(List.of(1, 1, 2, 2), h.counts());
    }
  }

  @Test
  void aKernelThatStallsOrRaisesFailsTheJobWithTheReason() throws Exception {
    for (String[] expected : new String[][] {{"stall", "neither consumes nor emits"}, {"raise", "told to raise"}}) {
      Harness h = Kernels.open(new Settings());
      h.event("a", expected[0]);
      Exception failure = assertThrows(Exception.class, () -> h.setProcessingTime(5));
      assertTrue(failure.toString().contains(expected[1]), failure.toString());
      h.getOperator().close(); // as Flink does after a failure: without finish()
    }
  }

  @Test
  void anEntryThatWaitsIsRunAgainAndNothingOvertakesIt() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      h.event("a", "count");
      h.event("a", "wait:3");
      h.event("b", "count");
      h.setProcessingTime(5);
      assertEquals(List.of(new Out(0, "a", 1, 3, MIN), new Out(0, "a", 2, 3, MIN), new Out(0, "b", 1, 3, MIN)), h.drain());
    }
  }

  @Test
  void aWaitEndsWhenTheTaskIsInterrupted() throws Exception {
    Harness h = Kernels.open(new Settings());
    h.event("a", "count");
    h.event("a", "wait:1000000000");
    Thread.currentThread().interrupt(); // what a cancel does
    assertThrows(InterruptedException.class, () -> h.setProcessingTime(5));
    assertEquals(List.of(1), h.counts());
    h.getOperator().close();
  }

  /** A restart in the same JVM: see the note on references in PythonCalls. */
  @Test
  void closedInterpretersLeaveTheModuleIntact() throws Exception {
    for (int i = 0; i < 20; i++) {
      try (Harness h = Kernels.open(new Settings())) {
        h.event("a", "count");
        h.endInput();
        assertEquals(List.of(1), h.counts());
      }
    }
  }

  @Test
  void aStateOfAnotherVersionIsMigrated() throws Exception {
    Settings s = new Settings();
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      s.state = h.checkpoint();
    }
    s.spec = "{\"version\": 2}";
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      h.event("new", "count");
      s.state = h.checkpoint();
      assertEquals(List.of(1002, 1), h.counts());
    }
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      h.endInput();
      assertEquals(List.of(1003), h.counts());
    }
  }

  /** A restart would find the same state again: the failure is the last, and says why. */
  @Test
  void aStateOfANewerVersionEndsTheJob() throws Exception {
    Settings s = new Settings();
    s.spec = "{\"version\": 3}";
    try (Harness h = Kernels.open(s)) {
      h.event("a", "count");
      s.state = h.checkpoint();
    }
    s.spec = "{\"version\": 2}";
    Harness h = Kernels.open(s);
    Exception failure = assertThrows(SuppressRestartsException.class, () -> h.event("a", "count"));
    assertTrue(String.valueOf(failure.getCause()).contains("counting_kernel cannot use a stored state: "), failure.toString());
    assertTrue(String.valueOf(failure.getCause()).contains("a state of version 3; run the release that wrote it"), failure.toString());
    h.getOperator().close();
    s.spec = "{\"version\": 3}";
    try (Harness again = Kernels.open(s)) {
      again.event("a", "count");
      again.endInput();
      assertEquals(List.of(2), again.counts(), "the state is as it was");
    }
  }

  @Test
  void longAndStrangeKeysKeepTheirOwnState() throws Exception {
    try (Harness h = Kernels.open(new Settings())) {
      String x = "x".repeat(60);
      List<String> keys = List.of("", "\0\u00ff", "\u00c3\u00a9", "x".repeat(128), "y".repeat(200), "Aa", "BB", x + "Aa", x + "BB");
      assertEquals(hash("Aa"), hash("BB"), "only the bytes tell these keys apart");
      assertEquals(hash(x + "Aa"), hash(x + "BB"));
      for (int round = 1; round <= 2; round++) {
        for (String key : keys) {
          h.event(key, "count");
        }
        h.endInput();
        List<Object> out = h.drain();
        for (int i = 0; i < keys.size(); i++) {
          assertEquals(keys.get(i), ((Out) out.get(i)).key(), "the frame has the key as received");
          assertEquals(round, ((Out) out.get(i)).count());
        }
      }
    }
  }

  private static int hash(String key) {
    byte[] b = key.getBytes(StandardCharsets.ISO_8859_1);
    return Slab.hash(b, 0, b.length);
  }

  @Test
  void settingsThatCannotWorkAreRefused() {
    Settings s = new Settings();
    s.capacity = s.batch;
    assertThrows(IllegalArgumentException.class, () -> Kernels.open(s));
  }
}

package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.util.AbstractStreamOperatorTestHarness;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Test;

/** The operator of rare work under a manual clock, around {@code src/test/python/rare_counting.py}: state, one timer a key, restore, refusals. */
class RareOperatorTest {
  private static final int GROUPS = 16;

  /** What it put out: frames as "channel key value", one element a line; watermarks as numbers. */
  private static final class Harness extends KeyedOneInputStreamOperatorTestHarness<String, byte[], byte[]> {
    Harness(String spec, long gatherMs, OperatorSubtaskState state, int parallelism, int subtask) throws Exception {
      super(new RareOperator(Kernels.python(), "rare_counting", spec.getBytes(StandardCharsets.UTF_8), gatherMs), new FrameKey(), Types.STRING,
          GROUPS, parallelism, subtask);
      setup();
      if (state != null) {
        initializeState(state);
      }
      open();
    }

    Harness(String spec, OperatorSubtaskState state, int parallelism, int subtask) throws Exception {
      this(spec, 0, state, parallelism, subtask);
    }

    Harness(String spec) throws Exception {
      this(spec, null, 1, 0);
    }

    static Harness gathering(long gatherMs) throws Exception {
      return new Harness("{}", gatherMs, null, 1, 0);
    }

    void send(String key, String command) throws Exception {
      processElement(new StreamRecord<>(frame(key, command)));
    }

    void watermark(long time) throws Exception {
      processWatermark(new Watermark(time));
    }

    List<Object> drain() {
      List<Object> all = new ArrayList<>();
      for (Object o : getOutput()) {
        all.add(o instanceof WatermarkStatus ? o : o instanceof Watermark ? ((Watermark) o).getTimestamp() : told((byte[]) ((StreamRecord<?>) o).getValue()));
      }
      getOutput().clear();
      return all;
    }

    OperatorSubtaskState checkpoint() throws Exception {
      getOperator().prepareSnapshotPreBarrier(1);
      return snapshot(1, 1);
    }

    int timers() {
      return numEventTimeTimers();
    }
  }

  private static byte[] frame(String key, String command) {
    byte[] frame = ChannelSerializerTest.frame(63, "", command.getBytes(StandardCharsets.UTF_8), 0, 0, 0);
    byte[] name = key.getBytes(StandardCharsets.ISO_8859_1);
    byte[] keyed = new byte[frame.length + name.length];
    System.arraycopy(frame, 0, keyed, 0, PackedOut.HEADER);
    System.arraycopy(name, 0, keyed, PackedOut.HEADER, name.length);
    System.arraycopy(frame, PackedOut.HEADER, keyed, PackedOut.HEADER + name.length, frame.length - PackedOut.HEADER);
    PackedIn.INT.set(keyed, 0, keyed.length);
    PackedIn.INT.set(keyed, PackedOut.KEY_LENGTH, name.length);
    return keyed;
  }

  private static String told(byte[] block) {
    List<String> frames = new ArrayList<>();
    for (int at = 0, next; at < block.length; at = next) {
      next = PackedOut.next(block, at);
      int value = at + PackedOut.HEADER + PackedIn.intAt(block, at + PackedOut.KEY_LENGTH);
      String text = new String(block, value, next - value, StandardCharsets.UTF_8);
      frames.add(block[at + PackedOut.CHANNEL] + " " + FrameKey.of(block, at) + " " + text);
    }
    return String.join("\n", frames);
  }

  @Test
  void eachKeyHasItsOwnState() throws Exception {
    try (Harness h = new Harness("{}")) {
      h.send("a", "count");
      h.send("b", "count");
      h.send("a", "count");
      assertEquals(List.of("1 a 1", "1 b 1", "1 a 2"), h.drain());
      h.send("a", "look");
      h.send("b", "quiet");
      h.send("b", "look");
      assertEquals(List.of("1 a 2", "1 b 2"), h.drain());
      assertEquals(2, h.numKeyedStateEntries());
      h.send("a", "drop");
      assertEquals(1, h.numKeyedStateEntries(), "a dropped state leaves nothing");
      h.send("a", "count");
      assertEquals(List.of("1 a 0", "1 a 1"), h.drain());
    }
  }

  @Test
  void theFramesOfAStepAreOneElementAndABlockMayHoldSeveralKeys() throws Exception {
    try (Harness h = new Harness("{}")) {
      h.processElement(new StreamRecord<>(Kernels.joined(frame("a", "count"), frame("b", "many"), frame("a", "count"))));
      assertEquals(List.of("1 a 1", "1 b 1\n1 b 1\n7 b 7", "1 a 2"), h.drain());
    }
  }

  @Test
  void whatIsGatheredIsWorkedOffInItsOrder() throws Exception {
    try (Harness h = Harness.gathering(100)) {
      h.setProcessingTime(1000);
      h.send("a", "wake:7");
      h.watermark(5);
      h.watermark(6); // takes the place of the one before, for nothing came between
      h.send("a", "count");
      h.watermark(8);
      h.setProcessingTime(1099);
      assertEquals(List.of(), h.drain(), "it waits for more");
      h.setProcessingTime(1100);
      assertEquals(List.of("1 a 1", 6L, "1 a 2", "2 a 2 7", 8L), h.drain());
      h.setProcessingTime(1500);
      h.send("b", "count");
      h.setProcessingTime(1599);
      assertEquals(List.of(), h.drain(), "each gathering has its own time");
      h.setProcessingTime(1600);
      assertEquals(List.of("1 b 1"), h.drain());
    }
  }

  @Test
  void whatIsGatheredPrecedesABarrier() throws Exception {
    OperatorSubtaskState state;
    try (Harness h = Harness.gathering(100)) {
      h.send("a", "wake:100");
      h.watermark(5);
      state = h.checkpoint();
      assertEquals(List.of("1 a 1", 5L), h.drain());
    }
    try (Harness h = new Harness("{}", state, 1, 0)) {
      h.send("a", "count");
      assertEquals(List.of("1 a 2"), h.drain());
      assertEquals(1, h.timers());
    }
  }

  @Test
  void whatIsGatheredDoesNotWaitForTheEndNorBehindSilenceNorGrow() throws Exception {
    try (Harness h = Harness.gathering(100)) {
      for (int i = 1; i < 256; i++) {
        h.send("a", "quiet");
      }
      assertEquals(0, h.numKeyedStateEntries());
      h.send("a", "count");
      assertEquals(List.of("1 a 256"), h.drain());
      h.send("a", "count");
      h.processWatermarkStatus(WatermarkStatus.IDLE);
      assertEquals(List.of("1 a 257", WatermarkStatus.IDLE), h.drain());
      h.processWatermarkStatus(WatermarkStatus.ACTIVE);
      h.send("a", "wake:100");
      h.watermark(100);
      h.watermark(Long.MAX_VALUE);
      assertEquals(List.of(WatermarkStatus.ACTIVE), h.drain());
      h.getOperator().finish();
      assertEquals(List.of("1 a 258", "2 a 258 100", 100L, Long.MAX_VALUE), h.drain());
    }
  }

  @Test
  void strangeKeysKeepTheirOwnState() throws Exception {
    try (Harness h = new Harness("{}")) {
      List<String> keys = List.of("", "\0\u00ff", "\u00c3\u00a9", "y".repeat(300), "Aa", "BB");
      for (int round = 1; round <= 2; round++) {
        for (String key : keys) {
          h.send(key, "count");
          assertEquals(List.of("1 " + key + " " + round), h.drain());
        }
      }
    }
  }

  @Test
  void aTimerFiresOnceAtItsOwnTimeBeforeTheWatermarkGoesOn() throws Exception {
    try (Harness h = new Harness("{}")) {
      h.send("a", "wake:100");
      h.send("b", "wake:50");
      h.send("c", "wake:300");
      h.watermark(49);
      assertEquals(List.of("1 a 1", "1 b 1", "1 c 1", 49L), h.drain());
      h.watermark(200);
      assertEquals(List.of("2 b 1 50", "2 a 1 100", 200L), h.drain(), "in the order of time");
      assertEquals(1, h.timers());
      h.watermark(299);
      h.send("a", "look");
      assertEquals(List.of(299L, "1 a 101"), h.drain(), "what a firing leaves is the state");
    }
  }

  @Test
  void aKeyHasOneTimer() throws Exception {
    try (Harness h = new Harness("{}")) {
      h.send("a", "wake:100");
      h.send("a", "wake:300");
      h.send("a", "wake:200");
      assertEquals(1, h.timers());
      h.send("a", "count"); // leaves the wake as it is
      assertEquals(1, h.timers());
      h.send("a", "wake:200");
      assertEquals(1, h.timers());
      h.drain();
      h.watermark(199);
      h.watermark(1000);
      assertEquals(List.of(199L, "2 a 5 200", 1000L), h.drain());
      assertEquals(0, h.timers());
      h.send("a", "wake:2000");
      h.send("a", "sleep");
      assertEquals(0, h.timers());
      h.send("a", "wake:2000");
      h.send("a", "drop");
      assertEquals(0, h.timers());
      h.send("b", "wake:2000");
      h.send("b", "drop");
      h.send("b", "wake:3000"); // the wake before the last is no obstacle
      assertEquals(1, h.timers());
      assertEquals(2, h.numKeyedStateEntries(), "the state and the wake of b");
    }
  }

  @Test
  void aWakeThatIsPastWaitsForTheNextWatermark() throws Exception {
    try (Harness h = new Harness("{}")) {
      h.send("a", "wake:600");
      h.watermark(500);
      h.drain();
      h.send("a", "wake:100");
      assertEquals(List.of("1 a 2"), h.drain(), "frames of earlier times may still come");
      h.send("b", "wake:500");
      assertEquals(List.of("1 b 1"), h.drain());
      h.send("a", "hello");
      assertEquals(List.of("1 a 3"), h.drain());
      h.watermark(501);
      assertEquals(List.of("2 a 3 100", "2 b 1 500", 501L), h.drain());
      assertEquals(0, h.timers(), "and the one before is gone");
    }
  }

  @Test
  void firingsFollowEachOtherUpToTheWatermark() throws Exception {
    try (Harness h = new Harness("{\"again\": 100}")) {
      h.watermark(500);
      h.send("a", "wake:250");
      assertEquals(List.of(500L, "1 a 1"), h.drain());
      assertEquals(1, h.timers());
      h.send("b", "wake:600");
      h.drain();
      h.watermark(700); // by Flink's loop, the keys in turn
      assertEquals(List.of("2 a 1 250", "2 a 101 350", "2 a 201 450", "2 a 301 550", "2 b 1 600", "2 a 401 650", "2 b 101 700", 700L), h.drain());
      assertEquals(2, h.timers());
    }
  }

  @Test
  void anUnchangedWakeOfAFiringIsNone() throws Exception {
    try (Harness h = new Harness("{\"same\": true}")) {
      h.send("a", "wake:100");
      h.watermark(100);
      assertEquals(List.of("1 a 1", "2 a 1 100", 100L), h.drain());
      assertEquals(0, h.timers());
      h.send("a", "wake:50");
      h.watermark(101);
      assertEquals(List.of("1 a 2", "2 a 2 50", 101L), h.drain());
      h.send("a", "count");
      h.watermark(1000);
      assertEquals(List.of("1 a 3", 1000L), h.drain());
    }
  }

  @Test
  void aWakeThatDoesNotAdvanceEndsTheJob() throws Exception {
    for (String again : List.of("0", "-1")) {
      String why = "wants the key 'a' woken at " + (again.equals("0") ? 100 : 99) + " after what was due at 100";
      Harness h = new Harness("{\"again\": " + again + "}");
      h.send("a", "wake:100");
      refused(why, () -> h.watermark(100));
      h.getOperator().close();
      Harness late = new Harness("{\"again\": " + again + "}");
      late.watermark(100);
      late.send("a", "wake:100");
      refused(why, () -> late.watermark(101));
      late.getOperator().close();
    }
  }

  @Test
  void theLargestWatermarkFiresNothing() throws Exception {
    Harness h = new Harness("{}");
    h.send("a", "wake:100");
    h.watermark(Long.MAX_VALUE);
    assertEquals(List.of("1 a 1", Long.MAX_VALUE), h.drain());
    assertEquals(1, h.timers());
    OperatorSubtaskState drained = h.checkpoint();
    h.close();
    try (Harness again = new Harness("{}", drained, 1, 0)) {
      again.send("a", "wake:90");
      assertEquals(List.of("1 a 2"), again.drain(), "nor is anything past after a drain");
    }
  }

  @Test
  void stateAndTimersSurviveARestore() throws Exception {
    OperatorSubtaskState state;
    try (Harness h = new Harness("{}")) {
      h.send("a", "wake:100");
      h.send("b", "wake:100");
      h.send("b", "sleep");
      h.send("gone", "wake:50");
      h.watermark(50);
      h.send("gone", "drop");
      state = h.checkpoint();
      h.send("a", "wake:60"); // after the barrier: in no snapshot
      h.watermark(1000);
    }
    try (Harness h = new Harness("{}", state, 1, 0)) {
      assertEquals(1, h.timers());
      assertEquals(3, h.numKeyedStateEntries(), "two states and a wake");
      h.send("a", "wake:200"); // takes the place of the restored one
      assertEquals(1, h.timers());
      h.watermark(199);
      h.watermark(200);
      assertEquals(List.of("1 a 2", 199L, "2 a 2 200", 200L), h.drain());
    }
  }

  @Test
  void aRestoreAtAnotherParallelismFindsEveryKey() throws Exception {
    OperatorSubtaskState whole;
    try (Harness h = new Harness("{}")) {
      for (int i = 0; i < 40; i++) {
        h.send("k" + i, "wake:" + (100 + i));
      }
      whole = h.checkpoint();
    }
    Map<Object, Integer> seen = new HashMap<>();
    for (int subtask = 0; subtask < 2; subtask++) {
      OperatorSubtaskState half = AbstractStreamOperatorTestHarness.repartitionOperatorState(whole, GROUPS, 1, 2, subtask);
      try (Harness part = new Harness("{}", half, 2, subtask)) {
        part.watermark(200);
        part.drain().stream().filter(String.class::isInstance).forEach(o -> seen.merge(o, 1, Integer::sum));
      }
    }
    Map<Object, Integer> expected = new HashMap<>();
    for (int i = 0; i < 40; i++) {
      expected.put("2 k" + i + " 1 " + (100 + i), 1);
    }
    assertEquals(expected, seen);
  }

  /** A restart would meet the same: the failure is the last, and says why. */
  @Test
  void aRefusalEndsTheJobAndAnErrorDoesNot() throws Exception {
    Harness h = new Harness("{}");
    h.send("a", "count");
    refused("rare_counting cannot go on with the key 'a': a state of version 9; run the release that wrote it", () -> h.send("a", "refuse"));
    h.getOperator().close();
    for (String[] expected : new String[][] {{"raise", "told to raise"}, {"number", "with 5; expected bytes"}, {"short", "with 4 bytes that are no"}}) {
      Harness other = new Harness("{}");
      Exception failure = assertThrows(Exception.class, () -> other.send("a", expected[0]));
      assertTrue(failure.toString().contains(expected[1]), failure.toString());
      assertTrue(!(failure instanceof SuppressRestartsException), failure.toString());
      other.getOperator().close();
    }
    refused("rare_counting cannot start: ", () -> new Harness("{\"refused\": \"no such kind\"}"));
  }

  private static void refused(String why, org.junit.jupiter.api.function.Executable step) {
    Exception failure = assertThrows(SuppressRestartsException.class, step);
    assertTrue(String.valueOf(failure.getCause()).contains(why), String.valueOf(failure.getCause()));
  }

  @Test
  void closedInterpretersLeaveTheModuleIntact() throws Exception {
    for (int i = 0; i < 10; i++) {
      try (Harness h = new Harness("{}")) {
        h.send("a", "count");
        assertEquals(List.of("1 a 1"), h.drain());
      }
    }
  }

  /** A customer operator beside it, each with its own interpreter and its own entry. */
  @Test
  void bothOperatorsLiveInOneProcess() throws Exception {
    try (Harness rare = new Harness("{}"); Kernels.Harness hot = Kernels.open(new Kernels.Settings())) {
      for (int i = 1; i <= 50; i++) {
        hot.event("a", "count");
        hot.endInput();
        rare.send("a", "count");
        assertEquals(List.of(i), hot.counts());
        assertEquals(List.of("1 a " + i), rare.drain());
      }
    }
  }
}

package io.keepline;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What is registered, under which names, and that it follows what is counted. */
class StatsTest {
  private static final String DESCRIPTION = """
      [{"kind": "counter", "name": "dead_total", "at": 17, "labels": {"reason": "OLD", "who": "x y"}},
       {"kind": "gauge", "name": "waiting", "at": 14},
       {"kind": "histogram", "name": "score", "at": 20, "bounds": [0.05, 1.0], "sum": 22, "unit": 1000000},
       {"kind": "info", "name": "model_info", "labels": {"version": "3"}}]""";

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void bucketsAreCumulativeAndTheirBoundBelongsToThem() {
    Recorded group = new Recorded();
    Buckets buckets = new Buckets(0.5, 10);
    buckets.register(group, "wait_ms");
    for (double value : new double[] {0, 0.5, 0.6, 10, 10.1, 1e9}) {
      buckets.add(value);
    }
    assertEquals(Map.of("wait_ms_le_bucket{le=0.5}", 2L, "wait_ms_le_bucket{le=10}", 4L, "wait_ms_le_bucket{le=+Inf}", 6L,
        "wait_ms_count", 6L, "wait_ms_sum", 1e9 + 21.2), group.now());
  }

  @Test
  void theKernelsCountsAreExportedAsItDescribesThem() throws Exception {
    Recorded group = new Recorded();
    KernelMetrics metrics = new KernelMetrics(group, utf8(DESCRIPTION));
    Batch batch = new Batch(8, 1 << 16, 1 << 16);
    long[][] words = {{14, 2}, {17, 5}, {20, 7}, {21, 1}, {22, 1_500_000}};
    for (long[] word : words) {
      batch.memory.putLong((int) (8 * word[0]), word[1]);
    }
    assertEquals(0L, group.now("reason_who_dead_total{reason=OLD,who=x y}"), "counts are taken over after a run, not before");
    metrics.read(batch);
    assertEquals(Map.of("reason_who_dead_total{reason=OLD,who=x y}", 5L, "waiting", 2L, "score_le_bucket{le=0.05}", 7L,
        "score_le_bucket{le=1}", 8L, "score_le_bucket{le=+Inf}", 8L, "score_count", 8L, "score_sum", 1.5,
        "version_model_info{version=3}", 1), group.now());
  }

  @Test
  void aKindThatNobodyKnowsIsRefused() {
    Exception refused = assertThrows(IllegalArgumentException.class,
        () -> new KernelMetrics(new Recorded(), utf8("[{\"kind\": \"clock\", \"name\": \"x\"}]")));
    assertTrue(refused.getMessage().contains("clock"), refused.getMessage());
  }

  @Test
  void countsOutliveABatchBufferThatGrows() {
    Batch small = new Batch(8, 1 << 16, 1 << 16);
    for (int word = 0; word < Batch.HEAD; word++) {
      small.memory.putLong(8 * word, 100 + word);
    }
    Batch larger = new Batch(8, 1 << 17, 1 << 16);
    larger.takeOver(small);
    long[] words = new long[Batch.HEAD];
    larger.head(words);
    for (int word = 16; word < Batch.HEAD; word++) {
      assertEquals(100 + word, words[word]);
    }
  }

  @Test
  void theOperatorsOwnFiguresFollowWhatItDoes() throws Exception {
    Recorded group = new Recorded();
    Slab slab = new Slab(5, 64);
    OperatorStats stats = new OperatorStats(group, slab, utf8("[]"));
    assertTrue(Double.isNaN((double) group.now("keepline_watermark_lag_ms")), "no watermark, no lag");
    stats.ran(7, 3_000_000, 1_999_999, new Batch(8, 1 << 16, 1 << 16));
    stats.ran(1, 1_500_000, 1, new Batch(8, 1 << 16, 1 << 16));
    stats.missed();
    stats.missed();
    stats.evicted();
    stats.wrote();
    stats.wroteBack(9_000_000);
    stats.wroteBack(2_500_000);
    stats.wroteAhead(6, 4_000_000);
    slab.free();
    stats.passed(System.currentTimeMillis() - 60_000);
    Map<String, Object> now = group.now();
    assertEquals(8L, now.get("keepline_entries_total"));
    assertEquals(2L, now.get("keepline_batches_total"));
    assertEquals(4L, now.get("keepline_python_ms_total"));
    assertEquals(2L, now.get("keepline_emit_ms_total"));
    assertEquals(2L, now.get("keepline_state_misses_total"));
    assertEquals(1L, now.get("keepline_state_evictions_total"));
    assertEquals(1L, now.get("keepline_states_written_total"));
    assertEquals(6L, now.get("keepline_states_written_ahead_total"));
    assertEquals(4L, now.get("keepline_write_ahead_ms_total"));
    assertEquals(2L, now.get("keepline_write_backs_total"));
    assertEquals(11L, now.get("keepline_write_back_ms_total"));
    assertEquals(2.5, now.get("keepline_write_back_last_ms"));
    assertEquals(9.0, now.get("keepline_write_back_max_ms"));
    assertEquals(1.0, now.get("keepline_resident_states"));
    assertEquals(5.0, now.get("keepline_resident_states_limit"));
    assertEquals(64.0, now.get("keepline_state_bytes"));
    assertEquals(60_000.0, (double) now.get("keepline_watermark_lag_ms"), 10_000);
  }

  @Test
  void ofRareWorkFramesAreCountedByChannelAndByTheNamesTheyAreGiven() throws Exception {
    Recorded group = new Recorded();
    RareStats stats = new RareStats(group, utf8("""
        [{"kind": "frames", "name": "decisions_total", "channel": 2},
         {"kind": "frames", "name": "claims_total", "channel": 62, "labels": {"to": "budget"}},
         {"kind": "info", "name": "policy_info", "labels": {"version": "7"}}]"""));
    assertEquals(Map.of("keepline_rare_elements_total", 0L, "keepline_rare_timers_total", 0L, "keepline_rare_states_written_total", 0L,
        "keepline_rare_states_dropped_total", 0L, "keepline_rare_python_ms_total", 0L, "keepline_decisions_total", 0L,
        "keepline_to_claims_total{to=budget}", 0L, "keepline_version_policy_info{version=7}", 1), group.now());
    stats.received();
    stats.received();
    stats.received();
    stats.fired();
    stats.fired();
    stats.wrote(false);
    stats.wrote(true);
    stats.wrote(true);
    stats.ran(1_500_000);
    stats.ran(1_500_000);
    stats.emitted(Kernels.joined(frame(2, 0), frame(1, 0), frame(2, 5)));
    stats.emitted(frame(200, 0));
    assertEquals(Map.ofEntries(Map.entry("keepline_rare_elements_total", 3L), Map.entry("keepline_rare_timers_total", 2L),
        Map.entry("keepline_rare_states_written_total", 1L), Map.entry("keepline_rare_states_dropped_total", 2L),
        Map.entry("keepline_rare_python_ms_total", 3L), Map.entry("keepline_decisions_total", 2L),
        Map.entry("keepline_to_claims_total{to=budget}", 0L), Map.entry("keepline_version_policy_info{version=7}", 1),
        Map.entry("keepline_channel_rare_frames_total{channel=1}", 1L), Map.entry("keepline_channel_rare_frames_total{channel=2}", 2L),
        Map.entry("keepline_channel_rare_frames_total{channel=200}", 1L)), group.now());
    Exception refused = assertThrows(IllegalArgumentException.class,
        () -> new RareStats(new Recorded(), utf8("[{\"kind\": \"counter\", \"name\": \"x\"}]")));
    assertTrue(refused.getMessage().contains("counter"), refused.getMessage());
  }

  @Test
  void onlyScoresOfStampedEventsAreTimed() throws Exception {
    Recorded group = new Recorded();
    OperatorStats stats = new OperatorStats(group, new Slab(5, 64), utf8("[]"));
    stats.emitted(frame(0, 1000), 1005);
    stats.emitted(frame(0, 1000), 900); // a producer's clock that is ahead
    stats.emitted(frame(0, 0), 1005);
    stats.emitted(frame(1, 1000), 1005);
    assertEquals(4L, group.now("keepline_frames_total"));
    assertEquals(2L, group.now("keepline_created_to_scored_ms_count"));
    assertEquals(5.0, group.now("keepline_created_to_scored_ms_sum"));
    assertEquals(1L, group.now("keepline_created_to_scored_ms_le_bucket{le=2}"));
    assertEquals(2L, group.now("keepline_created_to_scored_ms_le_bucket{le=5}"));
  }

  private static byte[] frame(int channel, long created) {
    byte[] frame = new byte[PackedOut.HEADER];
    PackedIn.INT.set(frame, 0, frame.length);
    frame[PackedOut.CHANNEL] = (byte) channel;
    PackedIn.LONG.set(frame, PackedOut.CREATED_MS, created);
    return frame;
  }
}

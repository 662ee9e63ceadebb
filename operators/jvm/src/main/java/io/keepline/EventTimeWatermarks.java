package io.keepline;

import java.util.ArrayList;
import java.util.List;
import java.util.function.LongSupplier;
import org.apache.flink.api.common.eventtime.TimestampAssigner;
import org.apache.flink.api.common.eventtime.TimestampAssignerSupplier;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.util.clock.RelativeClock;

/**
 * Watermarks from the event times that the source packed: the largest so far, less the bound of disorder, less one.
 *
 * <p>Times that no customer can have had do not count: unreadable ones, those outside the configured bounds, and those more than 24 h
 * ahead of the wall clock. Otherwise one bad record would end all windows.
 *
 * <p>A watermark goes out at once when a tick may fire (they stand at an hour), and periodically. It never goes out between the blocks of
 * one piece of a poll, which lie side by side in time.
 *
 * <p><b>Silence.</b> A split without events for {@code idleMs} is not marked idle; it follows the wall clock less the bound, but never
 * passes a split of the same subtask that still has events. So a quiet split holds nobody up, and when all are quiet event time goes on with the
 * clock and what is due is done. Silence is measured by Flink's clock of input activity, which stands still under back-pressure. The rule
 * looks at its siblings because the generator of the source's main output, which never sees an event, is one of them and cannot be told
 * from that of an empty split. With 0 the watermark follows events only, which is what a replay of old data wants; then each subtask needs
 * a split that carries events, else nothing becomes due.
 */
public final class EventTimeWatermarks implements WatermarkStrategy<byte[]> {
  private static final long serialVersionUID = 1L;
  private static final long HOUR = 3_600_000L;
  private static final long AHEAD = 24 * HOUR;

  private final long boundMs;
  private final long lowest;
  private final long highest;
  private final long idleMs;
  private transient List<Generator> siblings;

  /**
   * @param boundMs the bound of disorder
   * @param lowest earliest event time that counts, in epoch milliseconds
   * @param highest latest event time that counts, exclusive
   * @param idleMs silence after which a split follows the wall clock; 0 never
   */
  public EventTimeWatermarks(long boundMs, long lowest, long highest, long idleMs) {
    this.boundMs = boundMs;
    this.lowest = lowest;
    this.highest = highest;
    this.idleMs = idleMs;
  }

  @Override
  public WatermarkGenerator<byte[]> createWatermarkGenerator(WatermarkGeneratorSupplier.Context context) {
    return generator(context.getInputActivityClock(), System::currentTimeMillis);
  }

  Generator generator(RelativeClock activity, LongSupplier wallClock) {
    if (siblings == null) {
      siblings = new ArrayList<>(); // one strategy a subtask: Flink deserialises it for each
    }
    Generator generator = new Generator(activity, wallClock);
    siblings.add(generator);
    return generator;
  }

  /** A block keeps the event time of its first record for whoever looks at it; the operator reads the packed headers. */
  @Override
  public TimestampAssigner<byte[]> createTimestampAssigner(TimestampAssignerSupplier.Context context) {
    return (record, kafkaTimestamp) -> PackedIn.longAt(record, PackedIn.EVENT_TIME);
  }

  final class Generator implements WatermarkGenerator<byte[]> {
    private final RelativeClock activity;
    private final LongSupplier wallClock;
    private long largest = Long.MIN_VALUE;
    private long before = Long.MIN_VALUE;
    private long lastEvent;

    Generator(RelativeClock activity, LongSupplier wallClock) {
      this.activity = activity;
      this.wallClock = wallClock;
      lastEvent = activity.relativeTimeMillis();
    }

    @Override
    public void onEvent(byte[] block, long timestamp, WatermarkOutput output) {
      lastEvent = activity.relativeTimeMillis();
      long bound = Math.min(highest, wallClock.getAsLong() + AHEAD + 1);
      for (int at = 0; at < block.length; at = PackedIn.next(block, at)) {
        long time = PackedIn.longAt(block, at + PackedIn.EVENT_TIME);
        if (time > largest && time >= lowest && time < bound) {
          largest = time;
        }
      }
      if ((block[0] & PackedIn.FLAG_MORE) != 0) {
        return;
      }
      if (largest != before && (before == Long.MIN_VALUE || dueHour(largest) != dueHour(before))) {
        output.emitWatermark(new Watermark(ofEvents()));
      }
      before = largest;
    }

    /** Ticks stand at an hour and fire at the watermark time − B − 1: this changes where the next one may fire. */
    private long dueHour(long time) {
      return Math.floorDiv(time - 1 - boundMs, HOUR);
    }

    @Override
    public void onPeriodicEmit(WatermarkOutput output) {
      long watermark = ofEvents();
      if (quiet()) {
        long followed = wallClock.getAsLong() - boundMs;
        for (Generator other : siblings) {
          if (!other.quiet()) {
            followed = Math.min(followed, other.ofEvents());
          }
        }
        watermark = Math.max(watermark, followed);
      }
      if (watermark != Long.MIN_VALUE) {
        output.emitWatermark(new Watermark(watermark));
      }
    }

    private long ofEvents() {
      return largest == Long.MIN_VALUE ? Long.MIN_VALUE : largest - boundMs - 1;
    }

    private boolean quiet() {
      return idleMs > 0 && activity.relativeTimeMillis() - lastEvent >= idleMs;
    }
  }
}

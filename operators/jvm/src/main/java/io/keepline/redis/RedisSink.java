package io.keepline.redis;

import io.keepline.PackedOut;
import java.io.IOException;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/**
 * Keeps a view in Redis of the newest frame of each key. Kafka holds the truth; Redis may be slow, or away, and the job goes on.
 *
 * <p>A frame goes into {@link PendingFrames}, where a newer one of its key replaces it, and the task thread is done with it. A thread of
 * the writer's own ({@link RedisPipeline}) sends what is pending, pipelined, through a script that ignores a write older than what is
 * there. A checkpoint takes a copy of what is pending as the writer's state and waits for nothing; after a restore it is sent again, which does
 * no harm, for the script ignores what is not newer. At the end of a bounded input the writer waits, up to a limit, until all is written.
 *
 * <p>A frame without a value is a tombstone ({@link View}): it goes the same way, and takes the key's hash out of the view.
 */
public final class RedisSink implements Sink<byte[]>, SupportsWriterState<byte[], byte[]> {
  private static final long serialVersionUID = 1L;

  final RedisAddress address;
  final Map<Integer, View> views = new TreeMap<>();
  final long ttlMs;
  final int maxPending;
  final int pipeline;
  final int timeoutMs;
  final long drainMs;
  final String meterKey;

  /**
   * @param url of Redis, see {@link RedisAddress}
   * @param ttlMs time to live of what is written; 0 for ever
   * @param maxPending keys that may wait in memory (and in the checkpoint) while Redis is away; past it the oldest are dropped
   * @param pipeline writes a round trip
   * @param timeoutMs to connect, and to answer
   * @param drainMs how long the end of a bounded input waits for Redis
   * @param meterKey Redis hashes {@code meterKey:subtask} get latency and counters each second; "" for none
   */
  public RedisSink(String url, long ttlMs, int maxPending, int pipeline, int timeoutMs, long drainMs, String meterKey) {
    if (maxPending < 1 || pipeline < 1 || timeoutMs < 1) {
      throw new IllegalArgumentException("max_pending, pipeline and timeout_ms must be positive");
    }
    address = new RedisAddress(url);
    this.ttlMs = ttlMs;
    this.maxPending = maxPending;
    this.pipeline = pipeline;
    this.timeoutMs = timeoutMs;
    this.drainMs = drainMs;
    this.meterKey = meterKey;
  }

  /** Frames of this channel are written; others are not for Redis. */
  public RedisSink view(int channel, String schemaJson, String keyTemplate) {
    views.put(channel, new View(schemaJson, keyTemplate));
    return this;
  }

  @Override
  public StatefulSinkWriter<byte[], byte[]> createWriter(WriterInitContext context) {
    return new Writer(context, List.of());
  }

  @Override
  public StatefulSinkWriter<byte[], byte[]> restoreWriter(WriterInitContext context, Collection<byte[]> states) {
    return new Writer(context, states);
  }

  @Override
  public SimpleVersionedSerializer<byte[]> getWriterStateSerializer() {
    return new PendingSerializer();
  }

  private final class Writer implements StatefulSinkWriter<byte[], byte[]> {
    private final PendingFrames pending = new PendingFrames(maxPending);
    private final RedisPipeline pipelined;

    Writer(WriterInitContext context, Collection<byte[]> states) {
      states.forEach(state -> PendingSerializer.frames(state).forEach(pending::put));
      pipelined = new RedisPipeline(RedisSink.this, pending, context.getTaskInfo().getIndexOfThisSubtask());
      pipelined.register(context.metricGroup());
      pipelined.start();
    }

    @Override
    public void write(byte[] block, Context context) {
      synchronized (pending) { // at once, so that the pipeline's thread finds all of it
        for (int at = 0, next; at < block.length; at = next) {
          next = PackedOut.next(block, at);
          if (views.containsKey(block[at + PackedOut.CHANNEL] & 255)) {
            pending.put(Arrays.copyOfRange(block, at, next));
          }
        }
      }
    }

    /** A barrier waits for nothing; only the end of input waits, so that a finished job leaves a complete view. */
    @Override
    public void flush(boolean endOfInput) throws IOException, InterruptedException {
      if (endOfInput && !pending.awaitEmpty(drainMs)) {
        pipelined.warnIncomplete();
      }
    }

    @Override
    public List<byte[]> snapshotState(long checkpointId) {
      return PendingSerializer.chunks(pending.snapshot());
    }

    @Override
    public void close() throws InterruptedException {
      pipelined.stop();
    }
  }
}

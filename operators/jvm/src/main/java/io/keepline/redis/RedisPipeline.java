package io.keepline.redis;

import io.keepline.Buckets;
import io.keepline.PackedOut;
import io.keepline.redis.PendingFrames.Pending;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.metrics.MetricGroup;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import redis.clients.jedis.Jedis;
import redis.clients.jedis.Pipeline;
import redis.clients.jedis.Response;
import redis.clients.jedis.exceptions.JedisDataException;

/**
 * The thread that brings pending frames to Redis: takes some, sends them in one round trip, acknowledges, and starts again. While Redis is
 * away it gives them back and tries again, with growing pauses. What Redis refuses for a reason of the key itself (a key of another
 * type) is counted and dropped, for it would hold up the rest for ever.
 */
final class RedisPipeline implements Runnable {
  private static final Logger LOG = LoggerFactory.getLogger(RedisPipeline.class);
  private static final long FIRST_PAUSE_MS = 20;
  private static final long LAST_PAUSE_MS = 1000;
  private static final long METER_MS = 1000;
  private static final int METER_TTL_S = 86_400;
  /** Answers that another try may change. Redis 6 wraps them into the text of a script error, hence anywhere in the message. */
  private static final String[] PASSING = {"NOSCRIPT", "LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "OOM ", "BUSY",
      "NOAUTH", "WRONGPASS", "NOPERM", "The user executing the script can't", "ACL failure in script", "MISCONF", "NOREPLICAS",
      "max number of clients"};

  private final RedisSink sink;
  private final PendingFrames pending;
  private final String meterKey;
  private final byte[] ttl;
  private final byte[] erasedTtl = HashScript.ascii(Long.toString(HashScript.ERASED_MS));
  private final Thread thread;
  private final LatencyHistogram latency = new LatencyHistogram();
  private final Buckets buckets = new Buckets(Buckets.LATENCY_MS);
  private volatile boolean stopped;
  private volatile long written;
  private volatile long retries;
  private volatile long refused;
  private volatile long connections;
  private Jedis jedis;
  private byte[] sha;
  /** Keys a call. */
  private int together = HashScript.KEYS;
  private long nextMeter;
  private long metered;

  RedisPipeline(RedisSink sink, PendingFrames pending, int subtask) {
    this.sink = sink;
    this.pending = pending;
    meterKey = sink.meterKey.isEmpty() ? "" : sink.meterKey + ":" + subtask;
    ttl = HashScript.ascii(Long.toString(sink.ttlMs));
    thread = new Thread(this, "redis-sink-" + subtask);
    thread.setDaemon(true);
  }

  void register(MetricGroup writer) {
    MetricGroup group = writer.addGroup("keepline");
    group.gauge("redis_pending_keys", pending::size);
    group.gauge("redis_lag_ms", pending::lagMs);
    counter(group, "redis_writes_total", () -> written);
    counter(group, "redis_dropped_total", pending::dropped);
    counter(group, "redis_refused_total", () -> refused);
    counter(group, "redis_retries_total", () -> retries);
    counter(group, "redis_connections_total", () -> connections);
    buckets.register(group, "created_to_redis_ms");
  }

  private static void counter(MetricGroup group, String name, Buckets.Read count) {
    group.counter(name, count);
  }

  void start() {
    thread.start();
  }

  void stop() throws InterruptedException {
    stopped = true;
    pending.close();
    thread.interrupt();
    thread.join(2000L + sink.timeoutMs);
  }

  void warnIncomplete() {
    LOG.warn("the input has ended, but {} keys are not in Redis ({}) after {} ms: their newest records are in Kafka only", pending.size(),
        sink.address, sink.drainMs);
  }

  @Override
  public void run() {
    long pause = FIRST_PAUSE_MS;
    try {
      while (!stopped) {
        List<Pending> taken = pending.take(sink.pipeline, meterKey.isEmpty() ? 10_000 : METER_MS);
        try {
          if (!taken.isEmpty()) {
            send(taken);
            pending.acknowledge();
            pause = FIRST_PAUSE_MS;
          }
          meter(false);
        } catch (IOException | RuntimeException e) {
          pending.giveBack();
          disconnect();
          retries++;
          if (pause == FIRST_PAUSE_MS) {
            LOG.warn("Redis ({}) does not take writes; {} keys wait, and are tried again", sink.address, pending.size(), e);
          }
          Thread.sleep(pause);
          pause = Math.min(2 * pause, LAST_PAUSE_MS);
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      lastMeter();
      disconnect();
    }
  }

  private void connect() throws IOException {
    if (jedis == null) {
      jedis = sink.address.connect(sink.timeoutMs);
      connections++;
      sha = jedis.scriptLoad(HashScript.ascii(HashScript.TEXT));
    }
  }

  /**
   * A call goes out while the hashes of the next are made, so Redis and this thread work at the same time. Tombstones have calls of their
   * own, for what they leave lives for another time.
   */
  private void send(List<Pending> taken) throws IOException {
    connect();
    Pipeline pipeline = jedis.pipelined();
    List<Call> calls = new ArrayList<>();
    Call writes = new Call(ttl);
    Call tombstones = new Call(erasedTtl);
    for (Pending each : taken) {
      Call call = View.tombstone(each.frame()) ? tombstones : writes;
      try {
        call.hashes.add(sink.views.get(PackedOut.channel(each.frame())).hash(each.frame()));
        call.sent.add(each);
      } catch (IOException | RuntimeException e) {
        refuse("unreadable value", e);
      }
      if (call.sent.size() >= together) {
        calls.add(call.into(pipeline));
        if (call == writes) {
          writes = new Call(ttl);
        } else {
          tombstones = new Call(erasedTtl);
        }
      }
    }
    for (Call last : List.of(writes, tombstones)) {
      if (!last.sent.isEmpty()) {
        calls.add(last.into(pipeline));
      }
    }
    pipeline.sync();
    long now = System.currentTimeMillis();
    JedisDataException passing = null;
    for (Call done : calls) {
      for (int i = 0; i < done.sent.size(); i++) {
        JedisDataException e = done.refusal(i);
        if (e == null) {
          arrived(done.sent.get(i), now);
        } else if (isPassing(e)) {
          passing = e;
        } else {
          refuse("the key has another type, or the script failed", e);
        }
      }
    }
    if (passing != null) {
      throw passing; // all of it is sent again; what was written is ignored by the script
    }
  }

  /** One call of the script; all its hashes live for the same time. */
  private final class Call {
    final List<Pending> sent = new ArrayList<>(together);
    final List<List<byte[]>> hashes = new ArrayList<>(together);
    private final byte[] lives;
    private Response<Object> answer;

    Call(byte[] lives) {
      this.lives = lives;
    }

    Call into(Pipeline pipeline) {
      answer = pipeline.evalsha(sha, HashScript.keys(hashes), HashScript.arguments(hashes, lives));
      return this;
    }

    /** Why the i-th hash was refused; null where it was not. Throws where the call as a whole was, and is to be tried key by key. */
    JedisDataException refusal(int i) {
      try {
        Object told = ((List<?>) answer.get()).get(i);
        return told instanceof JedisDataException ? (JedisDataException) told : null;
      } catch (JedisDataException e) {
        if (sent.size() > 1 && !isPassing(e)) {
          together = 1; // such as CROSSSLOT of a cluster
          LOG.info("Redis ({}) does not take several keys a call; from now on each has its own: {}", sink.address, e.getMessage());
          throw e;
        }
        return e;
      }
    }
  }

  private void arrived(Pending done, long now) {
    written++;
    time(now, PackedOut.createdMs(done.frame()), 1);
    time(now, done.replacedMs(), done.replaced());
  }

  private void time(long now, long created, int n) {
    if (created != 0 && n > 0) {
      latency.add(now - created, n);
      buckets.add(Math.max(0, now - created), n);
    }
  }

  private void refuse(String why, Exception e) {
    if (refused++ % 1000 == 0) {
      LOG.warn("a write to Redis is refused and dropped ({} so far): {}", refused, why, e);
    }
  }

  private static boolean isPassing(JedisDataException e) {
    for (String token : PASSING) {
      if (String.valueOf(e.getMessage()).contains(token)) {
        return true;
      }
    }
    return false;
  }

  /** Latency and counters as a hash in Redis itself, where whoever reads the view can read them, in whatever process the job runs. */
  private void meter(boolean last) throws IOException {
    long now = System.nanoTime() / 1_000_000;
    if (meterKey.isEmpty() || written == metered || now < nextMeter && !last) {
      return;
    }
    nextMeter = now + METER_MS;
    metered = written;
    connect();
    Map<String, String> fields = new HashMap<>();
    fields.put("count", Long.toString(latency.count()));
    fields.put("p50_ms", Long.toString(latency.quantile(0.50)));
    fields.put("p90_ms", Long.toString(latency.quantile(0.90)));
    fields.put("p99_ms", Long.toString(latency.quantile(0.99)));
    fields.put("p999_ms", Long.toString(latency.quantile(0.999)));
    fields.put("max_ms", Long.toString(latency.max()));
    fields.put("written", Long.toString(written));
    fields.put("pending", Integer.toString(pending.size()));
    fields.put("retries", Long.toString(retries));
    fields.put("stale", Long.toString(pending.dropped()));
    fields.put("refused", Long.toString(refused));
    Pipeline pipeline = jedis.pipelined();
    pipeline.hset(meterKey, fields);
    pipeline.expire(meterKey, METER_TTL_S);
    pipeline.sync();
  }

  private void lastMeter() {
    try {
      if (jedis != null) {
        meter(true);
      }
    } catch (IOException | RuntimeException e) {
      LOG.debug("the last latency figures are not in Redis", e);
    }
  }

  private void disconnect() {
    try {
      if (jedis != null) {
        jedis.close();
      }
    } catch (RuntimeException e) {
      LOG.debug("closing the Redis connection", e);
    }
    jedis = null;
  }
}

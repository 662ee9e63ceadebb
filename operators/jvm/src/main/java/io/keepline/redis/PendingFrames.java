package io.keepline.redis;

import io.keepline.PackedOut;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The frames that Redis does not have yet: the newest of each key, in order of arrival of the key.
 *
 * <p>The task thread puts, one writer thread takes, sends, and then either acknowledges or gives back; nothing blocks the task thread but
 * the lock. A frame that is being sent is still pending: a snapshot holds it. Below the bound no key's newest frame is ever lost; at the
 * bound the key that has waited longest is dropped for the new one, and counted, so that a Redis that is away for long costs
 * freshness of the view and not the job's memory. Tombstones are dropped last: the next score of a key makes up for a lost one, but
 * nothing would ever take an erased customer out of the view.
 */
final class PendingFrames {
  private final int bound;
  private final Map<Key, Pending> waiting = new LinkedHashMap<>();
  private final Map<Key, Pending> sending = new LinkedHashMap<>();
  /** Tombstones among the waiting. */
  private int erasing;
  private long dropped;
  private boolean closed;

  /**
   * A frame, and since when (System.nanoTime) its key's view has been out of date.
   *
   * @param replaced timed frames of the key that this one has replaced: their effect, too, is in Redis only when this one is
   * @param replacedMs when the first of their events was created
   */
  record Pending(byte[] frame, long since, int replaced, long replacedMs) {
    /** The newer frame in the place of this one. */
    Pending replacedBy(byte[] newer) {
      long created = PackedOut.createdMs(frame);
      if (created == 0) {
        return new Pending(newer, since, replaced, replacedMs);
      }
      return new Pending(newer, since, replaced + 1, replaced == 0 ? created : Math.min(created, replacedMs));
    }

    /** The same with what a later one, which stood beside this one, has replaced. */
    Pending replacedBy(Pending later) {
      Pending merged = replacedBy(later.frame);
      if (later.replaced == 0) {
        return merged;
      }
      long first = merged.replaced == 0 ? later.replacedMs : Math.min(merged.replacedMs, later.replacedMs);
      return new Pending(later.frame, since, merged.replaced + later.replaced, first);
    }
  }

  PendingFrames(int bound) {
    this.bound = bound;
  }

  /** Adds a frame unless a newer one of its key is pending. */
  synchronized void put(byte[] frame) {
    Key key = new Key(frame);
    Pending waits = waiting.get(key);
    Pending older = waits == null ? sending.get(key) : waits;
    if (older != null && !PackedOut.newer(frame, older.frame)) {
      return;
    }
    if (waits == null) {
      if (size() >= bound && !waiting.isEmpty()) {
        if (erasing == waiting.size() && !View.tombstone(frame)) {
          dropped++;
          return;
        }
        drop();
      }
      if (waiting.isEmpty()) {
        notifyAll();
      }
    }
    waiting.put(key, waits == null ? new Pending(frame, System.nanoTime(), 0, 0) : waits.replacedBy(frame));
    erasing += (View.tombstone(frame) ? 1 : 0) - (waits != null && View.tombstone(waits.frame) ? 1 : 0);
  }

  /** Drops what has waited longest. Tombstones in front of it go to the end, so that they are passed over once and not each time. */
  private void drop() {
    dropped++;
    while (erasing < waiting.size()) {
      Map.Entry<Key, Pending> first = removeFirst();
      if (!View.tombstone(first.getValue().frame)) {
        return;
      }
      waiting.put(first.getKey(), first.getValue());
    }
    removeFirst();
    erasing--;
  }

  private Map.Entry<Key, Pending> removeFirst() {
    Iterator<Map.Entry<Key, Pending>> all = waiting.entrySet().iterator();
    Map.Entry<Key, Pending> first = Map.Entry.copyOf(all.next());
    all.remove();
    return first;
  }

  /** Up to {@code max} frames to send, after waiting up to {@code waitMs} for the first; empty where none came. */
  synchronized List<Pending> take(int max, long waitMs) throws InterruptedException {
    if (waiting.isEmpty() && !closed) {
      wait(waitMs);
    }
    Iterator<Map.Entry<Key, Pending>> all = waiting.entrySet().iterator();
    while (sending.size() < max && all.hasNext()) {
      Map.Entry<Key, Pending> entry = all.next();
      sending.put(entry.getKey(), entry.getValue());
      erasing -= View.tombstone(entry.getValue().frame) ? 1 : 0;
      all.remove();
    }
    return new ArrayList<>(sending.values());
  }

  /** What was taken is in Redis, or was refused for good. */
  synchronized void acknowledge() {
    sending.clear();
    if (waiting.isEmpty()) {
      notifyAll();
    }
  }

  /** What was taken has to be sent again, before the rest, except where a newer frame came meanwhile; the key has waited from the first on. */
  synchronized void giveBack() {
    Map<Key, Pending> rest = new LinkedHashMap<>(waiting);
    waiting.clear();
    waiting.putAll(sending);
    rest.forEach((key, newer) -> waiting.merge(key, newer, Pending::replacedBy));
    sending.clear();
    erasing = (int) waiting.values().stream().filter(each -> View.tombstone(each.frame)).count();
  }

  /** Waits until nothing is pending; false where the time is over before. */
  synchronized boolean awaitEmpty(long timeoutMs) throws InterruptedException {
    long end = System.nanoTime() + timeoutMs * 1_000_000;
    while (size() > 0 && !closed) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        return false;
      }
      wait(Math.min(left, 1000));
    }
    return size() == 0;
  }

  /** Everything pending, the newest frame of each key. */
  synchronized List<byte[]> snapshot() {
    Map<Key, Pending> all = new LinkedHashMap<>(sending);
    all.putAll(waiting);
    return frames(all);
  }

  private static List<byte[]> frames(Map<Key, Pending> pending) {
    List<byte[]> frames = new ArrayList<>(pending.size());
    pending.values().forEach(each -> frames.add(each.frame));
    return frames;
  }

  synchronized int size() {
    return waiting.size() + sending.size();
  }

  /** Keys whose newest frame was dropped at the bound: the view is stale by so many, until they change again. */
  synchronized long dropped() {
    return dropped;
  }

  /** Milliseconds that the oldest pending frame has waited; 0 where nothing is pending. A restart begins anew. */
  synchronized long lagMs() {
    Iterator<Pending> oldest = (sending.isEmpty() ? waiting : sending).values().iterator();
    return oldest.hasNext() ? (System.nanoTime() - oldest.next().since) / 1_000_000 : 0;
  }

  synchronized void close() {
    closed = true;
    notifyAll();
  }

  /** Channel and key bytes of a frame, copied, so that a key does not hold on to the first frame that had it. */
  private static final class Key {
    private final byte[] bytes;
    private final int hash;

    Key(byte[] frame) {
      bytes = Arrays.copyOfRange(frame, PackedOut.HEADER - 1, PackedOut.HEADER + PackedOut.keyLength(frame));
      bytes[0] = frame[PackedOut.CHANNEL];
      hash = Arrays.hashCode(bytes);
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Key && Arrays.equals(bytes, ((Key) other).bytes);
    }
  }
}

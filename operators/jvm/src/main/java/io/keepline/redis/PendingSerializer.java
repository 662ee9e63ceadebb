package io.keepline.redis;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.core.io.SimpleVersionedSerializer;

/** The sink writer's state: frames one after the other, each of which begins with its length; so a state is its own framing. */
final class PendingSerializer implements SimpleVersionedSerializer<byte[]> {
  /** A state holds about this much, so that a large backlog is spread over the subtasks when it is restored. */
  private static final int CHUNK = 4 << 20;

  @Override
  public int getVersion() {
    return 1;
  }

  @Override
  public byte[] serialize(byte[] frames) {
    return frames;
  }

  @Override
  public byte[] deserialize(int version, byte[] frames) throws IOException {
    if (version != 1) {
      throw new IOException("pending Redis writes of version " + version + "; this jar reads version 1: restore with the newer jar");
    }
    return frames;
  }

  static List<byte[]> chunks(List<byte[]> frames) {
    List<byte[]> states = new ArrayList<>();
    for (int from = 0, to = 0; from < frames.size(); from = to) {
      int size = 0;
      while (to < frames.size() && (size == 0 || size + frames.get(to).length <= CHUNK)) {
        size += frames.get(to++).length;
      }
      ByteBuffer state = ByteBuffer.allocate(size);
      frames.subList(from, to).forEach(state::put);
      states.add(state.array());
    }
    return states;
  }

  static List<byte[]> frames(byte[] state) {
    List<byte[]> frames = new ArrayList<>();
    ByteBuffer left = ByteBuffer.wrap(state).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    while (left.hasRemaining()) {
      byte[] frame = new byte[left.getInt(left.position())];
      left.get(frame);
      frames.add(frame);
    }
    return frames;
  }
}

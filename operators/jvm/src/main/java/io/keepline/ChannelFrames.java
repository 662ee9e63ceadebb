package io.keepline;

import java.util.Arrays;
import org.apache.flink.api.common.functions.FlatMapFunction;
import org.apache.flink.util.Collector;

/** Blocks of frames to single ones, of one channel or of several, without a hop through Python. */
public final class ChannelFrames implements FlatMapFunction<byte[], byte[]> {
  private static final long serialVersionUID = 1L;

  private final long channels;

  /** @param channels bit i set: channel i passes; up to 64 channels */
  public ChannelFrames(long channels) {
    this.channels = channels;
  }

  @Override
  public void flatMap(byte[] block, Collector<byte[]> frames) {
    for (int at = 0, next; at < block.length; at = next) {
      next = PackedOut.next(block, at);
      if ((channels >>> (block[at + PackedOut.CHANNEL] & 63) & 1) != 0) {
        frames.collect(Arrays.copyOfRange(block, at, next));
      }
    }
  }
}

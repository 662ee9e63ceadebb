package io.keepline;

import org.apache.flink.api.common.functions.FilterFunction;

/** Frames of one channel, or of several, without a hop through Python. */
public final class ChannelFilter implements FilterFunction<byte[]> {
  private static final long serialVersionUID = 1L;

  private final long channels;

  /** @param channels bit i set: channel i passes; up to 64 channels */
  public ChannelFilter(long channels) {
    this.channels = channels;
  }

  @Override
  public boolean filter(byte[] frame) {
    return (channels >>> PackedOut.channel(frame) & 1) != 0;
  }
}

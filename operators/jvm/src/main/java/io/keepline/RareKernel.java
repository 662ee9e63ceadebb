package io.keepline;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import pemja.core.PythonInterpreter;

/**
 * The Python side of {@link RareOperator}: one call a step, with the key's state in and out ({@code operators/rare.py}).
 *
 * <pre>
 * call    b: 0 an element, 1 a timer   c: the timer's due time   data: i32 key length, key, i32 state length (-1: none), state, frame
 * answer  i32 state length (-1: drop it, -2: unchanged), state, i64 wake (0: none, Long.MIN_VALUE: unchanged), frames; or text: a refusal
 * </pre>
 */
final class RareKernel {
  /** No timer. */
  static final long NONE = 0;
  /** The timer stays as it is. */
  static final long SAME = Long.MIN_VALUE;

  private static final int OPEN = 8;
  private static final int RUN = 9;
  private static final int ELEMENT = 0;
  private static final int TIMER = 1;
  private static final int DROP = -1;
  private static final int UNCHANGED = -2;
  private static final byte[] NO_FRAME = {};

  /**
   * What a step leaves.
   *
   * @param changed false: the state stays as it is
   * @param state the new one, an array of its own; null: none any more
   * @param wake when the key's timer is due, {@link #NONE} or {@link #SAME}
   * @param frames what to emit, one frame behind another
   */
  record Step(boolean changed, byte[] state, long wake, byte[] frames) {}

  private final PythonCalls python;

  RareKernel(PythonInterpreter interpreter, String module, byte[] spec) {
    python = new PythonCalls(interpreter, module, OPEN, spec);
  }

  Step run(String key, byte[] state, byte[] frame) {
    return step(ELEMENT, 0, key, state, frame);
  }

  Step fire(String key, byte[] state, long due) {
    return step(TIMER, due, key, state, NO_FRAME);
  }

  /** What Python refuses (text) is what a restart would meet again, such as a state of a newer version: it ends the job, with the reason. */
  private Step step(int what, long due, String key, byte[] state, byte[] frame) {
    byte[] name = key.getBytes(StandardCharsets.ISO_8859_1);
    int length = state == null ? 0 : state.length;
    ByteBuffer data = ByteBuffer.allocate(8 + name.length + length + frame.length).order(ByteOrder.LITTLE_ENDIAN);
    data.putInt(name.length).put(name).putInt(state == null ? -1 : length).put(state == null ? NO_FRAME : state).put(frame);
    Object answer = python.call(RUN, what, due, 0, data.array());
    if (answer instanceof byte[]) {
      return unpacked((byte[]) answer);
    }
    if (answer instanceof String) {
      throw failure("cannot go on with the key '" + key + "': " + answer);
    }
    throw new IllegalStateException(python.module + ".entry answered a step with " + answer + "; expected bytes, or text to refuse");
  }

  private Step unpacked(byte[] answer) {
    int length = answer.length < 12 ? Integer.MAX_VALUE : PackedIn.intAt(answer, 0);
    if (length < UNCHANGED || length > answer.length - 12) {
      throw new IllegalStateException(python.module + ".entry answered a step with " + answer.length
          + " bytes that are no state, wake and frames: the jar and the Python package are of different versions; install both from one wheel");
    }
    int end = 4 + Math.max(length, 0);
    byte[] state = length <= DROP ? null : Arrays.copyOfRange(answer, 4, end);
    return new Step(length != UNCHANGED, state, PackedIn.longAt(answer, end), Arrays.copyOfRange(answer, end + 8, answer.length));
  }

  /** A failure that ends the job without restarts. */
  SuppressRestartsException failure(String what) {
    return new SuppressRestartsException(new IllegalStateException(python.module + " " + what));
  }

  byte[] describe() {
    return python.describe();
  }

  void close() {
    python.close();
  }
}

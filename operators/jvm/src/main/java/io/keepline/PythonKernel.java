package io.keepline;

import pemja.core.PythonInterpreter;

/** The Python side of {@link CustomerOperator}: the operations of {@code entry} that work on its two buffers. */
final class PythonKernel {
  private static final int OPEN = 0;
  private static final int STATE_SIZE = 1;
  private static final int MAP = 2;
  private static final int RUN = 3;
  private static final int MIGRATE = 5;
  private static final int WAITING_FOR = 7;

  private final PythonCalls python;

  /** Bytes of state a customer. */
  final int stateSize;

  /** What every stored state keeps, four numbers a rule: byte offset, mask, lowest and highest value of the masked long. */
  private final long[] rules;

  PythonKernel(PythonInterpreter interpreter, String module, byte[] spec) {
    python = new PythonCalls(interpreter, module, OPEN, spec);
    long layout = python.number(python.call(STATE_SIZE, 0, 0, 0, null), "state size");
    stateSize = (int) layout; // the version of its layout is above
    if (stateSize < 64 || stateSize % 64 != 0) {
      throw new IllegalStateException(module + " gives states of " + stateSize + " bytes; expected a positive multiple of 64");
    }
    rules = rules(python.call(STATE_SIZE, 1, 0, 0, null));
  }

  /** Hands over the addresses; called again, with no batch running, when the batch buffer had to grow. Compiles the kernels. */
  void map(Slab slab, Batch batch, long boundMs) {
    java.nio.ByteBuffer sizes = java.nio.ByteBuffer.allocate(40).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    sizes.putLong(slab.capacity).putLong(batch.eventBytes).putLong(batch.outBytes).putLong(batch.memory.capacity()).putLong(boundMs);
    python.call(MAP, slab.address(), batch.address(), batch.capacity, sizes.array());
  }

  /** Runs the entries from the batch's first up to {@code end}; returns how many it consumed. */
  int run(int end, long watermark, long wallClock) {
    return (int) python.number(python.call(RUN, end, watermark, wallClock, null), "run");
  }

  /** Whether a stored state can be taken as it is; if not, {@link #migrate} says what to do with it. */
  boolean accepts(byte[] stored) {
    if (stored.length != stateSize) {
      return false;
    }
    for (int i = 0; i < rules.length; i += 4) {
      long found = PackedIn.longAt(stored, (int) rules[i]) & rules[i + 1];
      if (found < rules[i + 2] || found > rules[i + 3]) {
        return false;
      }
    }
    return true;
  }

  private long[] rules(Object answer) {
    if (!(answer instanceof byte[]) || ((byte[]) answer).length % 32 != 0) {
      throw new IllegalStateException(python.module + ".entry answered 'state rules' with " + answer + "; expected four numbers a rule");
    }
    byte[] packed = (byte[]) answer;
    long[] numbers = new long[packed.length / 8];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = PackedIn.longAt(packed, 8 * i);
    }
    return numbers;
  }

  /**
   * A stored state of another length or version, brought to this one's. One that cannot be used will be the same after a restart: the job
   * fails at once, with Python's reason, and is not restarted; savepoint and checkpoints stay as they are.
   */
  byte[] migrate(byte[] stored) {
    Object state = python.callOrFail("cannot use a stored state", MIGRATE, stored);
    if (state instanceof byte[] && ((byte[]) state).length == stateSize) {
      return (byte[]) state;
    }
    throw new IllegalStateException(python.module + " migrated a state of " + stored.length + " bytes to "
        + (state instanceof byte[] ? ((byte[]) state).length + " bytes" : String.valueOf(state)) + "; expected " + stateSize + " bytes");
  }

  /** What the kernel counts, as JSON (see {@link KernelMetrics}). */
  byte[] describe() {
    return python.describe();
  }

  /** What a run that says it waits is waiting for, for people. */
  String waitingFor() {
    Object told = python.call(WAITING_FOR, 0, 0, 0, null);
    return told instanceof byte[] ? new String((byte[]) told, java.nio.charset.StandardCharsets.UTF_8) : String.valueOf(told);
  }

  void close() {
    python.close();
  }
}

package io.keepline;

import java.util.function.Supplier;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import pemja.core.PythonException;
import pemja.core.PythonInterpreter;

/**
 * The Python side of the operator, reached through one function: {@code entry(op, a, b, c, d, data)} of the configured module.
 *
 * <p><b>pemja 0.5.7 releases a reference it does not own</b>: it remembers the function it last invoked without taking a reference, and gives
 * one back when another name is invoked or the interpreter is closed. With two names in turn the JVM crashes, sometimes much later; with one
 * name, the module's function is freed when the job restarts in the same TaskManager, and the next interpreter imports what was put in its
 * place. So all operations go through one name, and {@link #load} gives the function one reference more for each interpreter.
 */
final class PythonKernel {
  private static final int OPEN = 0;
  private static final int STATE_SIZE = 1;
  private static final int MAP = 2;
  private static final int RUN = 3;
  private static final int CLOSE = 4;
  private static final int MIGRATE = 5;
  private static final int DESCRIBE = 6;
  private static final int WAITING_FOR = 7;
  private static final String ENTRY = "_keepline_entry";

  private final PythonInterpreter interpreter;
  private final String module;
  private final long handle;

  /** Bytes of state a customer. */
  final int stateSize;

  /** What every stored state keeps, four numbers a rule: byte offset, mask, lowest and highest value of the masked long. */
  private final long[] rules;

  PythonKernel(PythonInterpreter interpreter, String module, byte[] spec) {
    this.interpreter = interpreter;
    this.module = module;
    handle = number(atStart(module, () -> call(OPEN, 0, 0, 0, 0, spec)), "open");
    long layout = number(call(STATE_SIZE, handle, 0, 0, 0, null), "state size");
    stateSize = (int) layout; // the version of its layout is above
    if (stateSize < 64 || stateSize % 64 != 0) {
      throw new IllegalStateException(module + " gives states of " + stateSize + " bytes; expected a positive multiple of 64");
    }
    rules = rules(call(STATE_SIZE, handle, 1, 0, 0, null));
  }

  static void load(PythonInterpreter interpreter, String module) {
    atStart(module, () -> {
      interpreter.exec("from " + module + " import entry as " + ENTRY + "\n"
          + "import ctypes as _ctypes\n"
          + "_ctypes.pythonapi.Py_IncRef(_ctypes.py_object(" + ENTRY + "))\n"); // for the release at close, see above
      return null;
    });
  }

  /** Hands over the addresses; called again, with no batch running, when the batch buffer had to grow. Compiles the kernels. */
  void map(Slab slab, Batch batch, long boundMs) {
    java.nio.ByteBuffer sizes = java.nio.ByteBuffer.allocate(40).order(java.nio.ByteOrder.LITTLE_ENDIAN);
    sizes.putLong(slab.capacity).putLong(batch.eventBytes).putLong(batch.outBytes).putLong(batch.memory.capacity()).putLong(boundMs);
    call(MAP, handle, slab.address(), batch.address(), batch.capacity, sizes.array());
  }

  /** Runs the entries from the batch's first up to {@code end}; returns how many it consumed. */
  int run(int end, long watermark, long wallClock) {
    return (int) number(call(RUN, handle, end, watermark, wallClock, null), "run");
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
      throw new IllegalStateException(module + ".entry answered 'state rules' with " + answer + "; expected four numbers a rule");
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
    Object state = orFail(module, "cannot use a stored state", () -> call(MIGRATE, handle, 0, 0, 0, stored));
    if (state instanceof byte[] && ((byte[]) state).length == stateSize) {
      return (byte[]) state;
    }
    throw new IllegalStateException(module + " migrated a state of " + stored.length + " bytes to "
        + (state instanceof byte[] ? ((byte[]) state).length + " bytes" : String.valueOf(state)) + "; expected " + stateSize + " bytes");
  }

  /** What the kernel counts, as JSON (see {@link KernelMetrics}). */
  byte[] describe() {
    Object described = call(DESCRIBE, handle, 0, 0, 0, null);
    if (described instanceof byte[]) {
      return (byte[]) described;
    }
    throw new IllegalStateException(module + ".entry described its counts with " + described + "; expected bytes");
  }

  /** What a run that says it waits is waiting for, for people. */
  String waitingFor() {
    Object told = call(WAITING_FOR, handle, 0, 0, 0, null);
    return told instanceof byte[] ? new String((byte[]) told, java.nio.charset.StandardCharsets.UTF_8) : String.valueOf(told);
  }

  void close() {
    call(CLOSE, handle, 0, 0, 0, null);
  }

  /** A module that cannot be imported or refuses its spec will do so again: the job fails at once, with Python's reason, and is not restarted. */
  private static Object atStart(String module, Supplier<Object> step) {
    return orFail(module, "cannot start", step);
  }

  private static Object orFail(String module, String what, Supplier<Object> step) {
    try {
      return step.get();
    } catch (Exception refused) { // PythonException is a checked one that native code throws undeclared
      if (!(refused instanceof PythonException)) {
        throw refused;
      }
      throw new SuppressRestartsException(new IllegalStateException(module + " " + what + ": " + refused.getMessage(), refused));
    }
  }

  private Object call(int op, long a, long b, long c, long d, byte[] data) {
    return interpreter.invoke(ENTRY, op, a, b, c, d, data);
  }

  private long number(Object result, String what) {
    if (result instanceof Number) {
      return ((Number) result).longValue();
    }
    throw new IllegalStateException(module + ".entry answered '" + what + "' with " + result + "; expected a number");
  }
}

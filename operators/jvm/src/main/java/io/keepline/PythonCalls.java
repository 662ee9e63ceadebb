package io.keepline;

import java.util.function.Supplier;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import pemja.core.PythonException;
import pemja.core.PythonInterpreter;

/**
 * An operator's way into Python: one function, {@code entry(op, a, b, c, d, data)} of a module, and the handle that its open operation gave.
 *
 * <p><b>pemja 0.5.7 releases a reference it does not own</b>: it remembers the function it last invoked without taking a reference, and gives
 * one back when another name is invoked or the interpreter is closed. With two names in turn the JVM crashes, sometimes much later; with one
 * name, the module's function is freed when the job restarts in the same TaskManager, and the next interpreter imports what was put in its
 * place. So all operations go through one name, and {@link #load} gives the function one reference more for each interpreter.
 */
final class PythonCalls {
  private static final int CLOSE = 4;
  private static final int DESCRIBE = 6;
  private static final String ENTRY = "_keepline_entry";

  final String module;
  private final PythonInterpreter interpreter;
  private final long handle;

  /** @param open the operation that takes the spec and answers with a handle */
  PythonCalls(PythonInterpreter interpreter, String module, int open, byte[] spec) {
    this.interpreter = interpreter;
    this.module = module;
    handle = number(orFail(module, "cannot start", () -> interpreter.invoke(ENTRY, open, 0L, 0L, 0L, 0L, spec)), "open");
  }

  /** A module that cannot be imported or refuses its spec will do so again: the job fails at once, with Python's reason, and is not restarted. */
  static void load(PythonInterpreter interpreter, String module) {
    orFail(module, "cannot start", () -> {
      interpreter.exec("from " + module + " import entry as " + ENTRY + "\n"
          + "import ctypes as _ctypes\n"
          + "_ctypes.pythonapi.Py_IncRef(_ctypes.py_object(" + ENTRY + "))\n"); // for the release at close, see above
      return null;
    });
  }

  /** The operation on what the handle stands for. */
  Object call(int op, long b, long c, long d, byte[] data) {
    return interpreter.invoke(ENTRY, op, handle, b, c, d, data);
  }

  /** The same where Python's refusal would be the same after a restart: the job fails at once, with the reason. */
  Object callOrFail(String what, int op, byte[] data) {
    return orFail(module, what, () -> call(op, 0, 0, 0, data));
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

  long number(Object answer, String what) {
    if (answer instanceof Number) {
      return ((Number) answer).longValue();
    }
    throw new IllegalStateException(module + ".entry answered '" + what + "' with " + answer + "; expected a number");
  }

  /** What Python counts or names, as JSON (see {@link KernelMetrics} and {@link RareStats}). */
  byte[] describe() {
    Object described = call(DESCRIBE, 0, 0, 0, null);
    if (described instanceof byte[]) {
      return (byte[]) described;
    }
    throw new IllegalStateException(module + ".entry described its counts with " + described + "; expected bytes");
  }

  void close() {
    call(CLOSE, 0, 0, 0, null);
  }
}

package io.keepline;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.BasicTypeInfo;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.python.PythonOptions;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedPythonFunctionOperator;
import org.apache.flink.streaming.api.utils.PythonOperatorUtils;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.watermarkstatus.WatermarkStatus;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * A keyed operator for what happens rarely: frames in, frames out, a state of bytes and one event-time timer a key, and one call of plain
 * Python for each frame and for each timer.
 *
 * <p>It knows no domain and keeps nothing between calls: state, timer and what is emitted are all Flink's when a call has returned, so a
 * barrier, which comes between calls, cuts between steps.
 *
 * <p><b>Its input is gathered</b>, frames and watermarks in their order, and worked off together after {@code gatherMs}, or before a barrier: a
 * call of Python that comes alone finds nothing of it in the processor's caches and pushes the hot operators' data out of them, while of
 * calls that follow one another only the first does.
 *
 * <p><b>The timer.</b> Python answers when the key wants to be woken. A timer fires once, at its own due time, with the watermark that passes it:
 * <ul>
 *   <li>a wake is registered with Flink, in the place of the one before;
 *   <li>one that the watermark has passed already is fired with the next watermark, and not at once: the operator in front may have frames of
 *       earlier times for the key still, those of its own timers, which it too fires with the next watermark, and before it hands that on;
 *   <li>while the watermark advances, Flink's own loop fires what is left due, in the order of time;
 *   <li>a firing does all that is due, so the wake it leaves is later than its own due time. One that is not would fire for ever: it ends the job.
 * </ul>
 * The largest watermark, which ends a bounded input or a drain, fires nothing: it is passed on.
 *
 * <p>Behind another Python operator, or before one, it stands in a task of its own (keyBy separates): two in one task deadlock.
 */
public final class RareOperator extends AbstractEmbeddedPythonFunctionOperator<byte[]>
    implements OneInputStreamOperator<byte[], byte[]>, Triggerable<String, VoidNamespace> {
  private static final long serialVersionUID = 1L;

  /** So many elements are gathered at most. */
  private static final int MOST = 256;

  private final String module;
  private final byte[] spec;
  private final long gatherMs;

  private transient List<Object> gathered;
  private transient boolean waiting;
  private transient RareKernel kernel;
  private transient RareStats stats;
  private transient ValueState<byte[]> states;
  private transient ValueState<Long> wakes;
  private transient InternalTimerService<VoidNamespace> timers;
  private transient StreamRecord<byte[]> element;

  /**
   * @param config the Python configuration, as for any PyFlink operator
   * @param module the Python module whose {@code entry} is called
   * @param spec what the module needs to know; opaque here
   * @param gatherMs how long input may wait for more; 0: none waits
   */
  public RareOperator(Configuration config, String module, byte[] spec, long gatherMs) {
    super(config);
    if (!module.matches("\\w+(\\.\\w+)*")) {
      throw new IllegalArgumentException("'" + module + "' is no module name; expected one such as keepline.operators.runtime");
    }
    this.module = module;
    this.spec = spec;
    this.gatherMs = gatherMs;
  }

  /** Nothing: a block may hold frames of several keys, and the key is set for each. */
  @Override
  public void setKeyContextElement(StreamRecord<byte[]> record) {}

  @Override
  public void open() throws Exception {
    config.set(PythonOptions.PYTHON_EXECUTION_MODE, "thread"); // the base refuses the default, "process"
    super.open();
    if (PythonOperatorUtils.inBatchExecutionMode(getKeyedStateBackend())) {
      throw new IllegalStateException("the operator needs execution.runtime-mode STREAMING: the BATCH mode's state holds one key only");
    }
    states = getPartitionedState(new ValueStateDescriptor<>("state", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
    wakes = getPartitionedState(new ValueStateDescriptor<>("wake", BasicTypeInfo.LONG_TYPE_INFO));
    timers = getInternalTimerService("wakes", VoidNamespaceSerializer.INSTANCE, this);
    element = new StreamRecord<>(null);
    gathered = new ArrayList<>();
    kernel = new RareKernel(interpreter, module, spec);
    stats = new RareStats(getMetricGroup(), kernel.describe());
  }

  @Override
  public void openPythonInterpreter() {
    PythonCalls.load(interpreter, module);
  }

  @Override
  public void processElement(StreamRecord<byte[]> element) throws Exception {
    gathered.add(element.getValue()); // its own array, also where elements are used again
    gather();
  }

  /** Works off what is gathered now or soon. */
  private void gather() throws Exception {
    if (gatherMs <= 0 || gathered.size() >= MOST) {
      flush();
    } else if (!waiting) {
      waiting = true;
      getProcessingTimeService().registerTimer(getProcessingTimeService().getCurrentProcessingTime() + gatherMs, now -> {
        waiting = false;
        flush();
      });
    }
  }

  private void flush() throws Exception {
    for (Object each : gathered) {
      if (each instanceof Watermark) {
        advance((Watermark) each);
      } else {
        run((byte[]) each);
      }
    }
    gathered.clear();
  }

  private void run(byte[] block) throws Exception {
    for (int at = 0, next; at < block.length; at = next) {
      next = PackedOut.next(block, at);
      run(FrameKey.of(block, at), Arrays.copyOfRange(block, at, next));
    }
  }

  private void run(String key, byte[] frame) throws Exception {
    setCurrentKey(key);
    stats.received();
    long started = System.nanoTime();
    long wake = keep(kernel.run(key, states.value(), frame), started);
    if (wake == RareKernel.SAME) {
      return;
    }
    Long registered = wakes.value();
    register(registered == null ? RareKernel.NONE : registered, wake);
  }

  /** Flink has set the key. What it leaves due is fired by Flink's loop, which goes on while there are timers up to the watermark. */
  @Override
  public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
    register(timer.getTimestamp(), fire(timer.getKey(), timer.getTimestamp()));
  }

  @Override
  public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) {
    throw new IllegalStateException("the operator registers no processing-time timers");
  }

  /** The wake that is left. The one that fires is gone, so an unchanged one is none. */
  private long fire(String key, long due) throws Exception {
    stats.fired();
    long started = System.nanoTime();
    long wake = keep(kernel.fire(key, states.value(), due), started);
    if (wake == RareKernel.SAME) {
      return RareKernel.NONE;
    }
    if (wake != RareKernel.NONE && wake <= due) {
      throw kernel.failure("wants the key '" + key + "' woken at " + wake + " after what was due at " + due
          + ": a firing does all that is due at its time, and leaves a later wake or none");
    }
    return wake;
  }

  /** State and frames of a step; returns its wake. */
  private long keep(RareKernel.Step step, long started) throws Exception {
    stats.ran(System.nanoTime() - started);
    if (step.changed()) {
      if (step.state() == null) {
        states.clear();
      } else {
        states.update(step.state()); // an array that nobody else has: the heap backend keeps the reference
      }
      stats.wrote(step.state() == null);
    }
    if (step.frames().length > 0) {
      stats.emitted(step.frames());
      output.collect(element.replace(step.frames()));
    }
    return step.wake();
  }

  /** At most one timer a key, and the state says which. */
  private void register(long before, long wake) throws Exception {
    if (wake == before) {
      return;
    }
    if (before != RareKernel.NONE) {
      timers.deleteEventTimeTimer(VoidNamespace.INSTANCE, before);
    }
    if (wake == RareKernel.NONE) {
      wakes.clear();
    } else {
      timers.registerEventTimeTimer(VoidNamespace.INSTANCE, wake);
      wakes.update(wake);
    }
  }

  @Override
  public void processWatermark(Watermark mark) throws Exception {
    int last = gathered.size() - 1;
    if (last >= 0 && gathered.get(last) instanceof Watermark && mark.getTimestamp() != Long.MAX_VALUE) {
      gathered.set(last, mark); // but the largest fires nothing, and those before it do
    } else {
      gathered.add(mark);
    }
    gather();
  }

  @Override
  public void processWatermarkStatus(WatermarkStatus status) throws Exception {
    flush();
    super.processWatermarkStatus(status);
  }

  /** Called by the base before a barrier, at the end and on its own timer. */
  @Override
  protected void invokeFinishBundle() throws Exception {
    flush();
    lastFinishBundleTime = getProcessingTimeService().getCurrentProcessingTime();
  }

  private void advance(Watermark mark) throws Exception {
    if (mark.getTimestamp() != Long.MAX_VALUE) {
      getTimeServiceManager().orElseThrow().advanceWatermark(mark);
    }
    output.emitWatermark(mark);
  }

  @Override
  public void close() throws Exception {
    try {
      if (kernel != null) {
        kernel.close();
      }
    } finally {
      kernel = null;
      super.close();
    }
  }
}

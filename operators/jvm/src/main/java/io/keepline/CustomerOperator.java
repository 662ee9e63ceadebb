package io.keepline;

import java.nio.charset.StandardCharsets;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.TaskManagerOptions;
import org.apache.flink.python.PythonOptions;
import org.apache.flink.runtime.execution.CancelTaskException;
import org.apache.flink.runtime.execution.SuppressRestartsException;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.streaming.api.operators.BoundedOneInput;
import org.apache.flink.streaming.api.operators.InternalTimer;
import org.apache.flink.streaming.api.operators.InternalTimerService;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.operators.Triggerable;
import org.apache.flink.streaming.api.operators.python.embedded.AbstractEmbeddedPythonFunctionOperator;
import org.apache.flink.streaming.api.utils.PythonOperatorUtils;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * A keyed operator that runs a compiled Python kernel on batches of events, over states that lie in one off-heap block.
 *
 * <p>It knows no domain. Events ({@link PackedIn}, in blocks) gather in a {@link Batch}; the states of recently seen keys lie in a {@link Slab},
 * which the kernel updates in place; what a run emits are frames ({@link PackedOut}), together one stream element. Flink's keyed state
 * is read when a key is not resident, and written before every barrier.
 *
 * <p><b>Why this is as exact as writing keyed state for each event.</b>
 * <ol>
 *   <li>One writer per key. keyBy gives a key to one subtask, and everything here runs on that subtask's mailbox thread: elements,
 *       both kinds of timers, watermarks, the call before a barrier, the end of input.
 *   <li>Where the newest state is. For every key it is the slab's slot if the key is resident, else Flink's state. A slot is filled from
 *       Flink on a miss (zero where there is none), and a dirty slot is written back before it is reused; so this holds always.
 *   <li>A barrier cuts between batches. {@link #prepareSnapshotPreBarrier} runs the pending batch, emits its frames (they precede the
 *       barrier, hence fall into the transaction it ends), registers its timers, and writes every dirty slot. The snapshot then holds the
 *       effect of all records before the barrier and of none after it; states and timers belong to the same cut.
 *   <li>A restore starts with an empty slab, at any parallelism: every key misses, and Flink's state is the only truth.
 *   <li>A write-back stores a new array. The heap backend keeps the reference while an asynchronous snapshot may still serialise it.
 *   <li>A slot that the pending batch uses is never evicted: it carries the batch's number, and the capacity exceeds the batch.
 *   <li>Ticks are entries. A firing timer adds a tick behind the events that came before the watermark, so that kernel and replay see one
 *       sequence; the watermark goes on only after the ticks it fired have been run and emitted.
 * </ol>
 * The current key is set only where keyed state or a timer is touched (miss, eviction, write-back, timer request), not for each element.
 *
 * <p>The largest watermark, which ends a bounded input or a drain, fires nothing: it is passed on and no tick is made of it.
 */
public final class CustomerOperator extends AbstractEmbeddedPythonFunctionOperator<byte[]>
    implements OneInputStreamOperator<byte[], byte[]>, BoundedOneInput, Triggerable<String, VoidNamespace> {
  private static final long serialVersionUID = 1L;
  /** Beyond this the output section does not grow for one entry: a kernel that needs more is broken. */
  private static final int MAX_OUT = 256 << 20;
  /** Between two runs of an entry that waits; the kernel itself decides how often it asks. */
  private static final long WAIT_STEP_MS = 20;
  /** Of a slot's off-heap memory, what is for Python: interpreter, NumPy, compiled kernels. */
  private static final long BESIDE_BLOCK = 192L << 20;
  private static final int LEAST_STATES = 10_000;

  private final String module;
  private final byte[] spec;
  private final int batchSize;
  private final long lingerMs;
  private final int capacity;
  private final int eventBytes;
  private final int outBytes;
  private final long boundMs;

  private transient PythonKernel kernel;
  private transient Slab slab;
  private transient Batch batch;
  private transient ValueState<byte[]> states;
  private transient InternalTimerService<VoidNamespace> timers;
  private transient StreamRecord<byte[]> element;
  private transient OperatorStats stats;
  private transient byte[] empty;
  private transient byte[] scratch;
  private transient byte[] packed;
  private transient int[] places;
  private transient int[] hashes;
  private transient WriteBackPace pace;
  private transient long barrierArrived;
  private transient int batchNumber;
  private transient boolean lingering;
  private transient long watermark;
  /** Since when the kernel waits for something outside, in epoch ms; 0: it does not. */
  private transient long waitingSince;

  /**
   * @param config the Python configuration, as for any PyFlink operator
   * @param module the Python module whose {@code entry} is the kernel
   * @param spec what the module needs to know; opaque here
   * @param batchSize entries a batch
   * @param lingerMs how long an event may wait for its batch to fill
   * @param capacity states kept in the block; more than a batch has entries. 0: as many as the TaskManager's off-heap memory has room for
   * @param eventBytes bytes of events a batch
   * @param outBytes bytes of frames a run may write
   * @param boundMs the bound of disorder, handed to the kernel
   */
  public CustomerOperator(Configuration config, String module, byte[] spec, int batchSize, long lingerMs, int capacity,
      int eventBytes, int outBytes, long boundMs) {
    super(config);
    if (batchSize < 1 || capacity != 0 && capacity <= batchSize) {
      throw new IllegalArgumentException("capacity " + capacity + " must exceed the batch size " + batchSize + ", which must be positive");
    }
    if (!module.matches("\\w+(\\.\\w+)*")) {
      throw new IllegalArgumentException("'" + module + "' is no module name; expected one such as keepline.operators.runtime");
    }
    this.module = module;
    this.spec = spec;
    this.batchSize = batchSize;
    this.lingerMs = lingerMs;
    this.capacity = capacity;
    this.eventBytes = eventBytes;
    this.outBytes = outBytes;
    this.boundMs = boundMs;
  }

  /** For tests: another say on what is written ahead. */
  void pace(WriteBackPace other) {
    pace = other;
  }

  /** Nothing: the default would run the key selector and set the key for every element. */
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
    timers = getInternalTimerService("ticks", VoidNamespaceSerializer.INSTANCE, this);
    element = new StreamRecord<>(null);
    watermark = Long.MIN_VALUE;
    batchNumber = 0;
    kernel = new PythonKernel(interpreter, module, spec);
    empty = new byte[kernel.stateSize];
    scratch = new byte[kernel.stateSize];
    packed = new byte[PackedState.room(kernel.stateSize)];
    places = new int[Slab.ABREAST + 1];
    hashes = new int[Slab.ABREAST];
    pace = new WriteBackPace();
    slab = new Slab(capacity == 0 ? room() : capacity, kernel.stateSize);
    batch = new Batch(batchSize, eventBytes, outBytes);
    kernel.map(slab, batch, boundMs);
    stats = new OperatorStats(getMetricGroup(), slab, kernel.describe());
  }

  /**
   * How many states there is room for: in a slot's share of the TaskManager's off-heap memory, beside the batch and what Python itself
   * needs, and of their tables in a quarter of its share of the heap. A local run's off-heap memory has no limit; Flink says 1 TiB there.
   */
  private int room() {
    Configuration manager = new Configuration();
    manager.addAll(Configuration.fromMap(getContainingTask().getEnvironment().getTaskManagerInfo().getConfiguration().toMap()));
    int slots = manager.get(TaskManagerOptions.NUM_TASK_SLOTS);
    long block = manager.get(TaskManagerOptions.TASK_OFF_HEAP_MEMORY).getBytes() / slots - BESIDE_BLOCK - eventBytes - outBytes;
    int states = room(kernel.stateSize, block, Runtime.getRuntime().maxMemory() / slots);
    LOG.info("room for {} resident states of {} bytes", states, kernel.stateSize);
    return Math.max(states, batchSize + 1);
  }

  /** How many states of this size have room in a block of so many bytes, and their tables in a quarter of a heap of so many. */
  static int room(int stateSize, long block, long heap) {
    long most = Math.min(block / stateSize, heap / 4 / Slab.TABLES);
    return (int) Math.max(LEAST_STATES, Math.min(Slab.most(stateSize), most));
  }

  @Override
  public void openPythonInterpreter() {
    PythonCalls.load(interpreter, module);
  }

  @Override
  public void processElement(StreamRecord<byte[]> element) throws Exception {
    byte[] block = element.getValue();
    for (int at = 0; at < block.length; at = places[0]) {
      addSome(block, at);
    }
  }

  /**
   * The records of a block from {@code at} on, up to {@link Slab#ABREAST}; leaves in {@code places[0]} where the next begins. A key is looked up at
   * random places of memory, and a processor that is given many such places at once waits for all of them about as long as for one.
   */
  private void addSome(byte[] block, int at) throws Exception {
    int records = 0;
    for (; records < Slab.ABREAST && at < block.length; records++) {
      places[records] = at;
      int next = PackedIn.next(block, at);
      hashes[records] = hash(block, at);
      at = next;
    }
    places[records] = at;
    slab.expect(hashes, records);
    for (int i = 0; i < records; i++) {
      add(block, places[i], places[i + 1], hashes[i]);
    }
    places[0] = at;
  }

  private static int hash(byte[] block, int at) {
    int key = at + PackedIn.HEADER;
    return Slab.hash(block, key, key + PackedIn.stateKeyLength(block, at));
  }

  @Override
  public void onEventTime(InternalTimer<String, VoidNamespace> timer) throws Exception {
    byte[] tick = PackedIn.tick(timer.getKey().getBytes(StandardCharsets.ISO_8859_1));
    add(tick, 0, tick.length, hash(tick, 0));
  }

  @Override
  public void onProcessingTime(InternalTimer<String, VoidNamespace> timer) {
    throw new IllegalStateException("the operator registers no processing-time timers");
  }

  private void add(byte[] block, int at, int end, int hash) throws Exception {
    int length = end - at;
    if (!batch.fits(length)) {
      flush();
      if (!batch.fits(length)) {
        grow(length, batch.outBytes);
      }
    }
    int key = at + PackedIn.HEADER;
    batch.add(resident(block, key, key + PackedIn.stateKeyLength(block, at), hash), block, at, length);
    if (batch.full() || lingerMs <= 0) {
      flush();
    } else if (!lingering) {
      lingering = true;
      getProcessingTimeService().registerTimer(getProcessingTimeService().getCurrentProcessingTime() + lingerMs, now -> {
        lingering = false;
        flush();
      });
    }
  }

  /** Slot of a key, made resident if it is not, and held for the pending batch. */
  private int resident(byte[] b, int from, int to, int hash) throws Exception {
    int slot = slab.find(b, from, to, hash);
    if (slot < 0) {
      stats.missed();
      slot = slab.free();
      if (slot < 0) {
        slot = slab.victim(batchNumber);
        stats.evicted();
        if (slab.isDirty(slot)) {
          writeBack(slot);
        }
        slab.unbind(slot);
      }
      slab.bind(slot, b, from, to, hash);
      setCurrentKey(slab.name(slot));
      slab.load(slot, current(states.value()));
    }
    slab.use(slot, batchNumber);
    return slot;
  }

  private byte[] current(byte[] stored) {
    if (stored == null) {
      return empty;
    }
    byte[] state = PackedState.isPacked(stored) ? unpacked(stored) : stored; // jobs of 0.1.0 stored states as they are
    return kernel.accepts(state) ? state : kernel.migrate(state);
  }

  /** A state that cannot be used will be the same after a restart. */
  private static byte[] unpacked(byte[] stored) {
    try {
      return PackedState.unpack(stored);
    } catch (IllegalStateException broken) {
      throw new SuppressRestartsException(broken);
    }
  }

  /** Runs the pending batch, in as many runs as its output needs, and emits. */
  private void flush() throws Exception {
    int end = batch.size();
    if (end == 0) {
      return;
    }
    boolean stalled = false;
    for (int first = 0; first < end; ) {
      batch.prepare(first);
      long started = System.nanoTime();
      int consumed = kernel.run(end, watermark, getProcessingTimeService().getCurrentProcessingTime());
      long ended = System.nanoTime();
      if (consumed < 0 || consumed > end - first) {
        throw new IllegalStateException(module + " says it consumed " + consumed + " of " + (end - first) + " entries");
      }
      collectResults(first, end);
      stats.ran(consumed, ended - started, System.nanoTime() - ended, batch);
      first += consumed;
      if (batch.waiting()) {
        await();
        stalled = false;
        continue;
      }
      resumed();
      boolean progress = consumed > 0 || batch.framesBytes() > 0;
      if (!progress && stalled) {
        throw new IllegalStateException(module + " neither consumes nor emits at entry " + first + " (" + batch.length(first)
            + " bytes) of a batch of " + end + " with " + batch.outBytes + " bytes for output: the kernel is broken, or one entry's"
            + " output exceeds " + batch.outBytes + " bytes; raise out_bytes");
      }
      if (!progress) {
        grow(0, Math.min(MAX_OUT, Math.max(2 * batch.outBytes, 4 * batch.eventBytes)));
      }
      stalled = !progress;
    }
    batch.clear();
    batchNumber++;
    writeAhead();
  }

  /**
   * One short pause on the task's thread, before the same entry is run again: what is behind it must not overtake it, so nothing may go
   * on, barriers included. A cancelled task ends here. See docs/decisions/0009.
   */
  private void await() throws InterruptedException {
    if (waitingSince == 0) {
      waitingSince = System.currentTimeMillis();
      LOG.warn("the operator waits, and its input with it: {}", kernel.waitingFor());
    }
    if (getContainingTask().isCanceled()) {
      throw new CancelTaskException("cancelled while waiting");
    }
    Thread.sleep(WAIT_STEP_MS);
  }

  private void resumed() {
    if (waitingSince != 0) {
      LOG.info("the operator goes on after waiting for {} ms", System.currentTimeMillis() - waitingSince);
      waitingSince = 0;
    }
  }

  /** Everything a run left behind: changed slots, timer requests, frames. */
  private void collectResults(int first, int end) throws Exception {
    long now = System.currentTimeMillis();
    for (int i = first; i < end; i++) {
      if (batch.takeTouched(i)) {
        slab.markDirty(batch.slot(i));
      }
    }
    for (int i = 0, n = batch.timers(); i < n; i++) {
      setCurrentKey(slab.name(batch.timerSlot(i)));
      long at = batch.timerAt(i);
      if (at < 0) { // an erased customer's
        timers.deleteEventTimeTimer(VoidNamespace.INSTANCE, -at);
      } else {
        timers.registerEventTimeTimer(VoidNamespace.INSTANCE, at);
      }
    }
    if (batch.framesBytes() > 0) {
      byte[] block = batch.frames();
      stats.emitted(block, now);
      output.collect(element.replace(block));
    }
  }

  /** A larger batch buffer, with the pending entries in it. Rare: an event, or one entry's output, that exceeds the usual sizes. */
  private void grow(int eventLength, int outLength) {
    long events = Math.max(batch.eventBytes, Integer.highestOneBit(Math.max(1, eventLength)) * 2L);
    Batch larger = new Batch(batchSize, (int) Math.min(events, Integer.MAX_VALUE - 64), Math.max(batch.outBytes, outLength));
    LOG.info("batch buffer grows to {} bytes of events, {} of output", larger.eventBytes, larger.outBytes);
    larger.takeOver(batch);
    kernel.map(slab, larger, boundMs);
    batch = larger;
  }

  private void writeBack(int slot) throws Exception {
    setCurrentKey(slab.name(slot));
    if (slab.empty(slot)) {
      states.clear();
    } else {
      slab.read(slot, scratch);
      states.update(PackedState.pack(scratch, packed));
    }
    slab.markClean(slot);
    stats.wrote();
  }

  /** After this, Flink's state equals the slab for every key. */
  private void writeBackAll() throws Exception {
    long started = System.nanoTime();
    int states = slab.dirty();
    writeNext(states);
    long ended = System.nanoTime();
    pace.wrote(states, ended - started);
    stats.wroteBack(ended - started);
  }

  /** Some of what the next barrier would have to write. */
  private void writeAhead() throws Exception {
    long started = System.nanoTime();
    int due = pace.due(started, slab.dirty());
    if (due > 0) {
      writeNext(due);
      long took = System.nanoTime() - started;
      pace.wrote(due, took);
      stats.wroteAhead(due, took);
    }
  }

  private void writeNext(int states) throws Exception {
    for (int i = 0; i < states; i++) {
      writeBack(slab.nextDirty());
    }
  }

  @Override
  public void processWatermark(Watermark mark) throws Exception {
    flush();
    if (mark.getTimestamp() != Long.MAX_VALUE) {
      watermark = mark.getTimestamp();
      stats.passed(watermark);
      getTimeServiceManager().orElseThrow().advanceWatermark(mark);
      flush();
    }
    output.emitWatermark(mark);
  }

  /** Called by the base before a barrier, at the end and on its own timer. */
  @Override
  protected void invokeFinishBundle() throws Exception {
    flush();
    lastFinishBundleTime = getProcessingTimeService().getCurrentProcessingTime();
  }

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) throws Exception {
    barrierArrived = System.nanoTime();
    super.prepareSnapshotPreBarrier(checkpointId);
    pace.found(slab.dirty());
    writeBackAll();
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
    long since = System.nanoTime() - barrierArrived;
    pace.barrier(barrierArrived, 1_000_000 * (System.currentTimeMillis() - context.getCheckpointTimestamp()) - since);
  }

  @Override
  public void endInput() throws Exception {
    flush();
  }

  @Override
  public void close() throws Exception {
    try {
      if (kernel != null) {
        kernel.close(); // drops the kernel's views before the buffers go
      }
    } finally {
      kernel = null;
      if (slab != null) {
        slab.close();
      }
      slab = null;
      batch = null;
      super.close();
    }
  }
}

package io.keepline;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.python.PythonOptions;
import org.apache.flink.runtime.checkpoint.OperatorSubtaskState;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.streaming.util.KeyedOneInputStreamOperatorTestHarness;
import org.junit.jupiter.api.Assumptions;

/** The operator under test, around {@code src/test/python/counting_kernel.py} in an embedded interpreter. */
final class Kernels {
  private Kernels() {}

  /** What a test varies; the rest is usual. */
  static final class Settings {
    String spec = "{}";
    int batch = 8;
    long linger = 5;
    int capacity = 100;
    int eventBytes = 1 << 16;
    int outBytes = 1 << 16;
    int maxParallelism = 16;
    int parallelism = 1;
    int subtask = 0;
    OperatorSubtaskState state;
    /** States written after each batch, whatever the time. */
    int ahead;
  }

  /** One output frame of the counting kernel. */
  record Out(int channel, String key, int count, int batch, long watermark) {}

  static final class Harness extends KeyedOneInputStreamOperatorTestHarness<String, byte[], byte[]> {
    Harness(CustomerOperator operator, Settings s) throws Exception {
      super(operator, new PackedKey(), Types.STRING, s.maxParallelism, s.parallelism, s.subtask);
    }

    void event(String key, String command) throws Exception {
      processElement(new StreamRecord<>(record(key, command)));
    }

    /** All of them as one element, which further blocks of the same piece of a poll follow. */
    void block(byte[]... records) throws Exception {
      byte[] block = joined(records);
      block[0] |= PackedIn.FLAG_MORE;
      processElement(new StreamRecord<>(block));
    }

    /** Frames emitted since the last call; watermarks as the number alone. */
    List<Object> drain() {
      List<Object> all = new ArrayList<>();
      for (Object o : getOutput()) {
        if (o instanceof Watermark) {
          all.add(((Watermark) o).getTimestamp());
        } else {
          byte[] block = (byte[]) ((StreamRecord<?>) o).getValue();
          for (int at = 0, next; at < block.length; at = next) {
            next = PackedOut.next(block, at);
            all.add(out(Arrays.copyOfRange(block, at, next)));
          }
        }
      }
      getOutput().clear();
      return all;
    }

    List<Integer> counts() {
      return drain().stream().filter(Out.class::isInstance).map(o -> ((Out) o).count()).toList();
    }

    OperatorSubtaskState checkpoint() throws Exception {
      getOperator().prepareSnapshotPreBarrier(1);
      return snapshot(1, 1);
    }
  }

  static Harness open(Settings s) throws Exception {
    CustomerOperator operator = new CustomerOperator(python(), "counting_kernel", s.spec.getBytes(StandardCharsets.UTF_8), s.batch, s.linger,
        s.capacity, s.eventBytes, s.outBytes, 3_600_000L);
    Harness harness = new Harness(operator, s);
    harness.setup();
    if (s.state != null) {
      harness.initializeState(s.state);
    }
    harness.open();
    if (s.ahead > 0) {
      operator.pace(new WriteBackPace() {
        @Override
        int due(long now, int dirty) {
          return Math.min(dirty, s.ahead);
        }
      });
    }
    return harness;
  }

  /** Where the interpreter and the kernels of the tests are. */
  static Configuration python() throws IOException {
    Path python = Path.of(System.getProperty("keepline.python"));
    Assumptions.assumeTrue(Files.isExecutable(python), () -> "skipped: there is no Python at " + python + "; make setup provides it");
    Configuration config = new Configuration();
    config.set(PythonOptions.PYTHON_EXECUTABLE, python.toString());
    config.set(PythonOptions.PYTHON_PATH, sitePackages(python) + ":" + System.getProperty("keepline.test.python.path"));
    return config;
  }

  private static String sitePackages(Path python) throws IOException {
    try (Stream<Path> lib = Files.list(python.getParent().resolveSibling("lib"))) {
      return lib.filter(p -> p.getFileName().toString().startsWith("python3")).findFirst().orElseThrow().resolve("site-packages").toString();
    }
  }

  static byte[] record(String key, String command) {
    return PackedDeserializerTest.packed(key.getBytes(StandardCharsets.ISO_8859_1), command.getBytes(StandardCharsets.UTF_8));
  }

  static byte[] joined(byte[]... records) {
    ByteArrayOutputStream block = new ByteArrayOutputStream();
    for (byte[] record : records) {
      block.writeBytes(record);
    }
    return block.toByteArray();
  }

  private static Object out(byte[] b) {
    String key = PackedOut.key(b) == null ? "" : new String(PackedOut.key(b), StandardCharsets.ISO_8859_1);
    String value = new String(PackedOut.value(b), StandardCharsets.UTF_8);
    if (value.startsWith("x")) {
      return new Out(PackedOut.channel(b), key, (int) PackedOut.sequence(b), -value.length(), 0);
    }
    String[] parts = value.split(" ");
    return new Out(PackedOut.channel(b), key, Integer.parseInt(parts[0]), Integer.parseInt(parts[1]), Long.parseLong(parts[2]));
  }
}

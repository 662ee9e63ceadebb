package io.keepline.bench;

import java.io.FileWriter;
import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.apache.flink.api.common.functions.MapFunction;

/**
 * For benchmarks of the operator without Kafka: number i to the i-th packed record of a file, read in order by one subtask.
 *
 * <p>The file holds, for each record, an i32 length (little-endian) and the bytes. Every {@code every} records a line "number
 * epoch-ms" goes to the progress file, so that whoever waits can tell the steady part from the warm-up.
 */
public final class PackedFile implements MapFunction<Long, byte[]> {
  private static final long serialVersionUID = 1L;

  private final String records;
  private final String progress;
  private final long every;
  private transient MappedByteBuffer bytes;
  private transient FileWriter report;

  public PackedFile(String records, String progress, long every) {
    this.records = records;
    this.progress = progress;
    this.every = every;
  }

  @Override
  public byte[] map(Long number) throws IOException {
    if (bytes == null) {
      try (FileChannel channel = FileChannel.open(Path.of(records), StandardOpenOption.READ)) {
        bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, channel.size());
        bytes.order(ByteOrder.LITTLE_ENDIAN);
      }
      report = new FileWriter(progress, java.nio.charset.StandardCharsets.US_ASCII);
    }
    if (number % every == 0) {
      report.write(number + " " + System.currentTimeMillis() + "\n");
      report.flush();
    }
    byte[] record = new byte[bytes.getInt()];
    bytes.get(record);
    return record;
  }
}

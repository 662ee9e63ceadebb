package io.keepline;

import java.io.IOException;
import java.util.Properties;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.kafka.source.metrics.KafkaSourceReaderMetrics;
import org.apache.flink.connector.kafka.source.reader.KafkaPartitionSplitReader;
import org.apache.flink.metrics.groups.SourceReaderMetricGroup;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;

/**
 * Reads Kafka as Flink's own reader does, and packs what a poll brings into blocks ({@link BlockPacker}), in the fetcher's thread. From there
 * on a block travels as one: through the source's thread, the exchange and the watermarks.
 */
final class BlockReader extends KafkaPartitionSplitReader {
  private final BlockPacker packer;
  private final Offsets metrics;

  BlockReader(Properties client, SourceReaderContext context, Offsets metrics, BlockPacker packer) {
    super(client, context, metrics);
    this.packer = packer;
    this.metrics = metrics;
  }

  /** The connector's metrics, which are told a partition's newest offset once a poll instead of once a record. */
  static final class Offsets extends KafkaSourceReaderMetrics {
    private TopicPartition partition;
    private long offset;

    Offsets(SourceReaderMetricGroup group) {
      super(group);
    }

    @Override
    public void recordCurrentOffset(TopicPartition of, long newest) {
      if (of != partition) {
        settle();
        partition = of;
      }
      offset = newest;
    }

    void settle() {
      if (partition != null) {
        super.recordCurrentOffset(partition, offset);
      }
      partition = null;
    }
  }

  @Override
  public RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> fetch() throws IOException {
    RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> packed = packer.pack(super.fetch());
    metrics.settle();
    return packed;
  }
}

package io.keepline;

import java.io.IOException;
import java.util.Properties;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.kafka.source.metrics.KafkaSourceReaderMetrics;
import org.apache.flink.connector.kafka.source.reader.KafkaPartitionSplitReader;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Reads Kafka as Flink's own reader does, and packs what a poll brings into blocks ({@link BlockPacker}), in the fetcher's thread. From there
 * on a block travels as one: through the source's thread, the exchange and the watermarks.
 */
final class BlockReader extends KafkaPartitionSplitReader {
  private final BlockPacker packer;

  BlockReader(Properties client, SourceReaderContext context, KafkaSourceReaderMetrics metrics, BlockPacker packer) {
    super(client, context, metrics);
    this.packer = packer;
  }

  @Override
  public RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>> fetch() throws IOException {
    return packer.pack(super.fetch());
  }
}

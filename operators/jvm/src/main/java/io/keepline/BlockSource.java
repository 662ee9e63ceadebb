package io.keepline;

import java.util.Map;
import java.util.Properties;
import java.util.function.Supplier;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.connector.source.Boundedness;
import org.apache.flink.api.connector.source.Source;
import org.apache.flink.api.connector.source.SourceReader;
import org.apache.flink.api.connector.source.SourceReaderContext;
import org.apache.flink.api.connector.source.SplitEnumerator;
import org.apache.flink.api.connector.source.SplitEnumeratorContext;
import org.apache.flink.api.java.typeutils.ResultTypeQueryable;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.synchronization.FutureCompletingBlockingQueue;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.KafkaSourceEnumState;
import org.apache.flink.connector.kafka.source.reader.KafkaRecordEmitter;
import org.apache.flink.connector.kafka.source.reader.KafkaSourceReader;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.connector.kafka.source.reader.fetcher.KafkaSourceFetcherManager;
import org.apache.flink.connector.kafka.source.split.KafkaPartitionSplit;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;

/**
 * Flink's {@link KafkaSource} with another reader ({@link BlockReader}): its elements are blocks of packed records. Partitions, offsets and
 * their state are Flink's, so a job may change from the one to the other by savepoint.
 *
 * <p>All records of a block are for one subtask of the keyed operator behind it, so that keyBy may go by the first. For that the operator has
 * the source's parallelism, and the maximum named here.
 */
public final class BlockSource
    implements Source<byte[], KafkaPartitionSplit, KafkaSourceEnumState>, ResultTypeQueryable<byte[]> {
  private static final long serialVersionUID = 1L;

  private final KafkaSource<byte[]> kafka;
  private final Map<String, String> client;
  private final PackedDeserializer packer;
  private final int maxParallelism;

  /**
   * @param kafka the source whose partitions and offsets are taken
   * @param client properties of the consumer
   * @param packer packs the records
   * @param maxParallelism of the keyed operator
   */
  public BlockSource(KafkaSource<byte[]> kafka, Map<String, String> client, PackedDeserializer packer, int maxParallelism) {
    this.kafka = kafka;
    this.client = client;
    this.packer = packer;
    this.maxParallelism = maxParallelism;
  }

  @Override
  public SourceReader<byte[], KafkaPartitionSplit> createReader(SourceReaderContext context) {
    NativeLz4.load();
    FutureCompletingBlockingQueue<RecordsWithSplitIds<ConsumerRecord<byte[], byte[]>>> queue = new FutureCompletingBlockingQueue<>();
    BlockReader.Offsets metrics = new BlockReader.Offsets(context.metricGroup());
    Properties properties = new Properties();
    properties.putAll(client);
    Supplier<SplitReader<ConsumerRecord<byte[], byte[]>, KafkaPartitionSplit>> reader =
        () -> new BlockReader(properties, context, metrics, new BlockPacker(packer, maxParallelism, context.currentParallelism()));
    return new KafkaSourceReader<>(queue, new KafkaSourceFetcherManager(queue, reader, finished -> {}),
        new KafkaRecordEmitter<>(new Blocks()), Configuration.fromMap(client), context, metrics);
  }

  /** The blocks of a {@link BlockPacker.Fetched}, all in one call. */
  private static final class Blocks implements KafkaRecordDeserializationSchema<byte[]> {
    private static final long serialVersionUID = 1L;

    @Override
    public void deserialize(ConsumerRecord<byte[], byte[]> fetched, Collector<byte[]> out) {
      ((BlockPacker.Fetched) fetched).blocks.forEach(out::collect);
    }

    @Override
    public TypeInformation<byte[]> getProducedType() {
      return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    }
  }

  @Override
  public Boundedness getBoundedness() {
    return kafka.getBoundedness();
  }

  @Override
  public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> createEnumerator(SplitEnumeratorContext<KafkaPartitionSplit> context) {
    return kafka.createEnumerator(context);
  }

  @Override
  public SplitEnumerator<KafkaPartitionSplit, KafkaSourceEnumState> restoreEnumerator(
      SplitEnumeratorContext<KafkaPartitionSplit> context, KafkaSourceEnumState state) throws java.io.IOException {
    return kafka.restoreEnumerator(context, state);
  }

  @Override
  public SimpleVersionedSerializer<KafkaPartitionSplit> getSplitSerializer() {
    return kafka.getSplitSerializer();
  }

  @Override
  public SimpleVersionedSerializer<KafkaSourceEnumState> getEnumeratorCheckpointSerializer() {
    return kafka.getEnumeratorCheckpointSerializer();
  }

  @Override
  public TypeInformation<byte[]> getProducedType() {
    return PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
  }
}

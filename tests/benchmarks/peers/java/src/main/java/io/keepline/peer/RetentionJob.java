package io.keepline.peer;

import java.io.IOException;
import java.time.Duration;
import java.util.Properties;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.ParameterTool;

/**
 * The retention job in Java on Flink: telemetry in Kafka, one state a customer, a churn score for each event to Kafka, exactly once.
 *
 * <pre>
 * RetentionJob --bootstrap-servers … --source TOPIC --sink TOPIC --name NAME --manifest manifest.json --parallelism 1
 *              [--flink.KEY VALUE …] [--consumer.KEY VALUE …] [--producer.KEY VALUE …]
 * </pre>
 */
public final class RetentionJob {
  private RetentionJob() {}

  public static void main(String[] arguments) throws Exception {
    ParameterTool given = ParameterTool.fromArgs(arguments);
    build(given).execute(given.getRequired("name"));
  }

  static StreamExecutionEnvironment build(ParameterTool given) throws IOException {
    String name = given.getRequired("name");
    Configuration settings = new Configuration();
    below(given, "flink.").forEach((key, value) -> settings.setString((String) key, (String) value));
    StreamExecutionEnvironment env =
        StreamExecutionEnvironment.createLocalEnvironment(given.getInt("parallelism", 1), settings);

    KafkaSource<byte[]> source = KafkaSource.<byte[]>builder()
        .setBootstrapServers(given.getRequired("bootstrap-servers"))
        .setTopics(given.getRequired("source"))
        .setGroupId(name)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setDeserializer(new TelemetryDeserializer())
        .setProperties(below(given, "consumer."))
        .build();
    KafkaSink<byte[]> sink = KafkaSink.<byte[]>builder()
        .setBootstrapServers(given.getRequired("bootstrap-servers"))
        .setRecordSerializer(new ScoreSerializer(given.getRequired("sink")))
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(name)
        .setKafkaProducerConfig(below(given, "producer."))
        .build();
    WatermarkStrategy<byte[]> watermarks = WatermarkStrategy.<byte[]>forBoundedOutOfOrderness(Duration.ofHours(1))
        .withTimestampAssigner((value, kafkaTime) -> TelemetryDeserializer.eventTime(value));

    env.fromSource(source, watermarks, "telemetry")
        .uid("telemetry")
        .keyBy(new CustomerKey(), Types.STRING)
        .process(new ScoreCustomers(Model.read(given.getRequired("manifest"))), PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
        .uid("customer")
        .name("customer")
        .sinkTo(sink)
        .uid("scores")
        .name("scores");
    return env;
  }

  /** The arguments that begin so, without the beginning. */
  private static Properties below(ParameterTool given, String beginning) {
    Properties found = new Properties();
    given.toMap().forEach((key, value) -> {
      if (key.startsWith(beginning)) {
        found.setProperty(key.substring(beginning.length()), value);
      }
    });
    return found;
  }
}

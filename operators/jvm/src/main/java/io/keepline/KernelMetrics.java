package io.keepline;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.util.Iterator;
import java.util.Map;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;

/**
 * What the kernel counts, as metrics of the operator's group. The kernel describes them itself (JSON, {@code operators/stats.py}): kind,
 * name, labels, and the word of the batch's head that holds the count. The words are copied after each run, for reporters to read.
 */
final class KernelMetrics {
  private final long[] words = new long[Batch.HEAD];

  KernelMetrics(MetricGroup group, byte[] description) throws IOException {
    for (JsonNode metric : new ObjectMapper().readTree(description)) {
      register(group, metric);
    }
  }

  private void register(MetricGroup group, JsonNode metric) {
    String name = metric.path("name").asText();
    MetricGroup labelled = labelled(group, metric);
    int at = metric.path("at").asInt();
    switch (metric.path("kind").asText()) {
      case "counter" -> labelled.counter(name, (Buckets.Read) () -> words[at]);
      case "gauge" -> labelled.gauge(name, (Gauge<Long>) () -> words[at]);
      case "info" -> labelled.gauge(name, (Gauge<Integer>) () -> 1);
      case "histogram" -> {
        double[] bounds = new double[metric.path("bounds").size()];
        for (int i = 0; i < bounds.length; i++) {
          bounds[i] = metric.path("bounds").get(i).asDouble();
        }
        int sum = metric.path("sum").asInt();
        double unit = metric.path("unit").asDouble();
        Buckets.register(labelled, name, bounds, i -> i < bounds.length ? words[at + i] : 0, () -> words[sum] / unit);
      }
      default -> throw new IllegalArgumentException("the kernel describes a metric of no known kind: " + metric);
    }
  }

  /** The group of a metric's labels. */
  static MetricGroup labelled(MetricGroup group, JsonNode metric) {
    MetricGroup labelled = group;
    for (Iterator<Map.Entry<String, JsonNode>> labels = metric.path("labels").fields(); labels.hasNext(); ) {
      Map.Entry<String, JsonNode> label = labels.next();
      labelled = labelled.addGroup(label.getKey(), label.getValue().asText());
    }
    return labelled;
  }

  void read(Batch batch) {
    batch.head(words);
  }
}

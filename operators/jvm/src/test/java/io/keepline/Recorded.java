package io.keepline;

import java.util.Map;
import java.util.TreeMap;
import java.util.function.Supplier;
import org.apache.flink.metrics.Counter;
import org.apache.flink.metrics.Gauge;
import org.apache.flink.metrics.MetricGroup;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;

/** A metric group that tells what was registered below it, named as Prometheus would: {@code group_name{label=value}}. */
public final class Recorded extends UnregisteredMetricsGroup {
  private final Map<String, Supplier<Object>> all;
  private final String prefix;
  private final String labels;

  public Recorded() {
    this(new TreeMap<>(), "", "");
  }

  private Recorded(Map<String, Supplier<Object>> all, String prefix, String labels) {
    this.all = all;
    this.prefix = prefix;
    this.labels = labels;
  }

  /** All values now, by name. */
  public Map<String, Object> now() {
    Map<String, Object> values = new TreeMap<>();
    all.forEach((name, value) -> values.put(name, value.get()));
    return values;
  }

  public Object now(String name) {
    return all.get(name).get();
  }

  private void add(String name, Supplier<Object> value) {
    if (all.put(prefix + name + (labels.isEmpty() ? "" : "{" + labels + "}"), value) != null) {
      throw new IllegalStateException(prefix + name + " is registered twice");
    }
  }

  @Override
  public <C extends Counter> C counter(String name, C counter) {
    add(name, counter::getCount);
    return counter;
  }

  @Override
  public <T, G extends Gauge<T>> G gauge(String name, G gauge) {
    add(name, gauge::getValue);
    return gauge;
  }

  @Override
  public MetricGroup addGroup(String name) {
    return new Recorded(all, prefix + name + "_", labels);
  }

  @Override
  public MetricGroup addGroup(String key, String value) {
    return new Recorded(all, prefix + key + "_", (labels.isEmpty() ? "" : labels + ",") + key + "=" + value);
  }
}

package io.keepline.peer;

import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.metrics.Counter;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Each event changes its customer's state and gives a score; duplicates, late and invalid events are counted. */
public final class ScoreCustomers extends KeyedProcessFunction<String, byte[], byte[]> {
  private static final long serialVersionUID = 1L;

  private final String manifest;
  private transient ValueState<byte[]> states;
  private transient Scoring scoring;
  private transient Counter invalid;
  private transient Counter duplicates;
  private transient Counter late;

  /** @param manifest the model's manifest, as JSON */
  public ScoreCustomers(String manifest) {
    this.manifest = manifest;
  }

  @Override
  public void open(OpenContext context) throws Exception {
    states = getRuntimeContext().getState(new ValueStateDescriptor<>("customer", new StateSerializer()));
    scoring = new Scoring(new Model(manifest));
    invalid = getRuntimeContext().getMetricGroup().counter("invalid");
    duplicates = getRuntimeContext().getMetricGroup().counter("duplicates");
    late = getRuntimeContext().getMetricGroup().counter("late");
  }

  @Override
  public void processElement(byte[] value, Context context, Collector<byte[]> out) throws Exception {
    byte[] state = scoring.take(states.value(), value);
    switch (scoring.outcome) {
      case SCORED:
        states.update(state);
        out.collect(scoring.score(state));
        break;
      case DUPLICATE:
        duplicates.inc();
        break;
      case LATE:
        late.inc();
        break;
      default:
        invalid.inc();
    }
  }
}

package io.keepline.peer;

/** One subtask's working parts: an event and a customer's state in, an encoded Score out. Knows nothing of Flink. */
final class Scoring {
  enum Outcome { SCORED, INVALID, DUPLICATE, LATE }

  final Event event = new Event();
  private final Model model;
  private final ScoreEncoder encoder;
  private final double[] row = new double[Features.NAMES.length];
  Outcome outcome;

  Scoring(Model model) {
    this.model = model;
    encoder = new ScoreEncoder(model);
  }

  /** The state to go on with: that of before, changed, or a new one; {@link #outcome} says whether the event counts. */
  byte[] take(byte[] before, byte[] value) {
    if (!decode(value)) {
      outcome = Outcome.INVALID;
      return before;
    }
    byte[] state = before;
    if (state == null || CustomerState.isForgotten(state, event.time)) {
      state = CustomerState.create(event.time);
    } else if (CustomerState.remembers(state, event.idHash)) {
      outcome = Outcome.DUPLICATE;
      return before;
    } else if (CustomerState.isLate(state, event.time)) {
      outcome = Outcome.LATE;
      return before;
    }
    outcome = Outcome.SCORED;
    return CustomerState.apply(state, event);
  }

  private boolean decode(byte[] value) {
    try {
      return event.decode(value);
    } catch (RuntimeException cutShort) {
      return false;
    }
  }

  /** The Score at the customer's newest event. */
  byte[] score(byte[] state) {
    Features.read(state, row);
    double probability = model.score(row);
    model.findReasons();
    return encoder.encode(event, probability, model.band(probability), Layout.getLong(state, Layout.NEWEST), row, model);
  }
}

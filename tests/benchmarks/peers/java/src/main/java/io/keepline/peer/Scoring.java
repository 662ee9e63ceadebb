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
  CustomerState take(CustomerState before, byte[] value) {
    if (!decode(value)) {
      outcome = Outcome.INVALID;
      return before;
    }
    CustomerState state = before;
    if (state == null || state.forgottenAt(event.time)) {
      state = new CustomerState(event.time);
    } else if (state.remembers(event.idHash)) {
      outcome = Outcome.DUPLICATE;
      return before;
    } else if (state.isLate(event.time)) {
      outcome = Outcome.LATE;
      return before;
    }
    state.apply(event);
    outcome = Outcome.SCORED;
    return state;
  }

  private boolean decode(byte[] value) {
    try {
      return event.decode(value);
    } catch (RuntimeException cutShort) {
      return false;
    }
  }

  /** The Score at the customer's newest event. */
  byte[] score(CustomerState state) {
    Features.read(state, row);
    double probability = model.score(row);
    model.findReasons();
    return encoder.encode(event, probability, model.band(probability), state.newest, row, model);
  }
}

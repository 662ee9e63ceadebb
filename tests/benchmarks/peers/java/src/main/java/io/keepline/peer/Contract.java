package io.keepline.peer;

/** The newest Subscription of a customer. Never changed, so states may share it. */
record Contract(
    long time, long startedTime, int months, double monthlyCharge, int internet, boolean autopay, boolean paperless) {
  static final int DSL = 1;
  static final int FIBER = 2;
  static final int MOBILE = 3;
}

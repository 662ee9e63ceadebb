"""The kernel's context: one array of int64 words, each an address, a size or a setting, that a call hands over as one number.

Handing arrays to compiled code costs more than the work on one event, so `operators.customer` writes their addresses here
once, when the operator is bound (and keeps the arrays alive), and the kernel reads words. Float settings stand in an array
of their own behind `FLOATS`.
"""

from __future__ import annotations

# Addresses: the shell's buffers (operators/layout.py), then Python's own.
(
    HDR, SLOTS, OFFS, TOUCHED, TIMER_SLOT, TIMER_TIME, OUT, EVENTS, BLOCK, PROGRAMS, PLAN_INTS, PLAN_FLOATS, FLOATS,
    NAMES, NAMES_AT, RI, RF, RS, RN, REJECTS, WATCH_SOURCE, WATCH_NUMBERS, WATCH_EVENTS, CONTROL, X, CONTRIB, TOP,
    KIND, COEF, CENTER,
) = range(30)  # fmt: skip
# Sizes and settings; times in milliseconds.
(
    OUT_SIZE, WATCHES, STATE, FEATURES, RETENTION, ERASURE, AHEAD, MIN_TIME, MAX_TIME, EMIT, ASK,
) = range(30, 41)  # fmt: skip
WORDS = 41

# Places in FLOATS, in bytes.
INTERCEPT, LOW, HIGH, DELTA, STEP = 0, 8, 16, 24, 32

EMIT_BAND, EMIT_DELTA, EMIT_EVERY = range(3)

REJECT_WORDS = 6
"""entry, status, event type, field, newest event time, event time."""

"""The kernel's contexts: arrays of int64 words, each an address, a size or a setting, of which a call hands over one address.

Handing arrays to compiled code costs more than the work on one event, so `operators.customer` writes their addresses here
once, when the operator is bound (and keeps the arrays alive), and the kernel reads words.

The customer operator has a context for each part of a customer's state (operators/parts.py), that is for each feature set. What all parts
have in common stands in all of them alike, and `NEXT` leads from one to the next. The first is the one that is handed over.
"""

from __future__ import annotations

# In common. Addresses: the shell's buffers (operators/layout.py), then Python's own.
(
    HDR, SLOTS, OFFS, TOUCHED, TIMER_SLOT, TIMER_TIME, OUT, EVENTS, BLOCK, PROGRAMS, RI, RF, RS, RN, REJECTS, WATCH_EVENTS, CONTROL,
) = range(17)  # fmt: skip
# In common. Sizes and settings; times in milliseconds. ROOM: bytes that all scores of a moment and their signal may take, apart from texts.
(
    OUT_SIZE, STATE, ERASURE, AHEAD, MIN_TIME, MAX_TIME, EMIT, ASK, ROOM, SCORES,
) = range(17, 27)  # fmt: skip
COMMON = 27

# A part's own. Addresses: plan, row, contributions and reasons of each score, the model's tables; what is watched.
(
    PLAN_INTS, PLAN_FLOATS, X, CONTRIB, TOP, KIND, COEF, CENTER, FLOATS, TABLE, VALUES, RULES, PLACES, NAMES, OWN,
    WATCH_SOURCE, WATCH_NUMBERS,
) = range(27, 44)  # fmt: skip
# A part's own. NEXT: the next part's context, 0 behind the last. AT: where the part begins in a customer's state, in bytes. DAY_AT: where
# the UTC day of the newest scoring is kept, in bytes of the part; -1 where every event is scored. TAIL: bytes that the operator keeps
# behind the part's features. EXPLAINED (a bit a score), FRESH: what of the moment has been computed already.
(
    NEXT, AT, TAIL, FAMILY, N_SCORES, FEATURES, RETENTION, WATCHES, BAND_BIAS, DAY_AT, REGRESSION, EXPLAINED, FRESH,
) = range(44, 57)  # fmt: skip
WORDS = 57

# The next-app operator's own, behind what is in common. Addresses: model, constants, scratch, what the model gives and takes, texts. Then
# how many apps a prediction has, and how far behind the newest event an unlock may be to be answered, milliseconds.
(
    MODEL, CONSTANTS, WORK, APP_PLACES, PROBABILITIES, CIRCUMSTANCES, TEXTS, TEXTS_AT, MOST_APPS, ANSWER_WITHIN,
) = range(COMMON, COMMON + 10)  # fmt: skip
NEXT_APP_WORDS = COMMON + 10

# Places in FLOATS, in bytes.
INTERCEPT, LESS = 0, 8

# Columns of a score's row in RULES, float64: bands begin at LOW and HIGH; a score is put out when it moved by DELTA, told when it moved by
# STEP, or by STEP_SHARE of its value. DELTA is a share of the value where DELTA_SHARE is 1, else a difference.
R_LOW, R_HIGH, R_DELTA, R_DELTA_SHARE, R_STEP, R_STEP_SHARE = range(6)
RULE_WORDS = 6
# Columns of a score's row in PLACES, int64: bytes from the part's start of the value put out last, the value told last and the band put out
# last; the score's number in schemas/outputs/Score.avsc.
L_VALUE, L_TOLD, L_BAND, L_SCORE = range(4)
PLACE_WORDS = 4
# Columns of a score's row in NAMES, int64: addresses of the template of its frames (operators/frames.py).
N_RAW, N_AT = range(2)
# Columns of a row of WATCH_SOURCE, int64: a feature's number, or -1 - a score's; the bit of the level.
S_SOURCE, S_BIT = range(2)
# Columns of a row of WATCH_NUMBERS, float64: it holds from ... and below ...; how far beyond them a level that holds goes on.
M_FROM, M_BELOW, M_SLACK = range(3)

EMIT_BAND, EMIT_DELTA, EMIT_EVERY = range(3)

REJECT_WORDS = 6
"""entry, status, event type, field, newest event time, event time."""

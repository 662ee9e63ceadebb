"""One code per event, shared by decoder, kernel and operator.

1 to 7 are the reasons of a dead letter, by the names of the contract. Codes from 16 on are sound events that are not applied.
The module-level integers are the same numbers, for compiled code.
"""

from enum import IntEnum


class Reason(IntEnum):
    """What became of one event."""

    OK = 0
    MALFORMED = 1
    UNKNOWN_SCHEMA = 2
    INVALID_FIELD = 3
    FUTURE_TIME = 4
    OUT_OF_BOUNDS_TIME = 5
    KEY_MISMATCH = 6
    OVERSIZED = 7
    DUPLICATE = 16
    LATE = 17


OK = 0
MALFORMED = 1
UNKNOWN_SCHEMA = 2
INVALID_FIELD = 3
FUTURE_TIME = 4
OUT_OF_BOUNDS_TIME = 5
KEY_MISMATCH = 6
OVERSIZED = 7
DUPLICATE = 16
LATE = 17

"""The duplicate memory: hashes of a customer's last 32 accepted event ids, a circle that starts as zeros (no hash is 0)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepline.features.layout import I_MEMORY_NEXT, MEMORY, W_MEMORY
from keepline.schemas.jit import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    I32, I64 = NDArray, NDArray


@njit
def remembers(s64: I64, base: int, id_hash: int) -> bool:
    """Whether the event id is among the last 32 accepted."""
    at = (base >> 3) + W_MEMORY
    found = 0
    # Counting instead of leaving early lets the compiler compare eight at a time.
    for i in range(MEMORY):
        found += s64[at + i] == id_hash
    return found > 0


@njit
def remember(s32: I32, s64: I64, base: int, id_hash: int) -> None:
    """Take the place of the oldest."""
    place = (base >> 2) + I_MEMORY_NEXT
    slot = s32[place] & (MEMORY - 1)
    s64[(base >> 3) + W_MEMORY + slot] = id_hash
    s32[place] = (slot + 1) & (MEMORY - 1)

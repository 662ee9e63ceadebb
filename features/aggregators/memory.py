"""The duplicate memory: hashes of a customer's last 32 accepted event ids, a circle that starts as zeros (no hash is 0)."""

from __future__ import annotations

from keepline.features.layout import I_MEMORY_NEXT, MEMORY, W_MEMORY
from keepline.features.words import get, get_count, put, put_count
from keepline.schemas.jit import njit


@njit
def remembers(state: int, id_hash: int) -> bool:
    """Whether the event id is among the last 32 accepted."""
    found = 0
    # Counting instead of leaving early lets the compiler compare several at a time.
    for i in range(MEMORY):
        found += get(state, W_MEMORY + i) == id_hash
    return found > 0


@njit
def remember(state: int, id_hash: int) -> None:
    """Take the place of the oldest."""
    slot = get_count(state, 4 * I_MEMORY_NEXT) & (MEMORY - 1)
    put(state, W_MEMORY + slot, id_hash)
    put_count(state, 4 * I_MEMORY_NEXT, (slot + 1) & (MEMORY - 1))

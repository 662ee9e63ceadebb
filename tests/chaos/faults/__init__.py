"""One file a family of faults. A fault is a function that does it, sees that it happened, and ends it; `FAULTS` has all of them by name."""

from __future__ import annotations

from tests.chaos.fault import Fault
from tests.chaos.faults import broker, crowd, operations, order, poison, processes, storage, view, volume

FAULTS: dict[str, Fault] = {
    fault.name: fault for module in (processes, broker, view, storage, poison, order, volume, operations, crowd) for fault in module.FAULTS
}

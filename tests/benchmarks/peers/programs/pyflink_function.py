"""The keyed function of the PyFlink job, in a module of its own, so that TaskManagers import it instead of unpickling it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pyflink.common import Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from tests.benchmarks.peers.plain import engine
from tests.benchmarks.peers.plain.avro import read_text
from tests.benchmarks.peers.plain.state import load


def customer(value: bytes) -> str:
    """The key: the customer of an event."""
    return read_text(value, 10)[0].decode()


class Scored(KeyedProcessFunction):  # type: ignore[misc]
    """Events in, (customer id, Score) out; the customer's state is one value of bytes."""

    def __init__(self, settings: Path) -> None:
        self._settings = settings

    def open(self, runtime_context: RuntimeContext) -> None:
        """Loads the model."""
        self._step = engine.make(self._settings)
        self._state = runtime_context.get_state(ValueStateDescriptor("customer", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """One event."""
        event, before = bytes(value), self._state.value()
        after, score = self._step(None if before is None else load(before), event)
        if score is not None:
            self._state.update(after.dump())
            yield Row(read_text(event, 10)[0], score)

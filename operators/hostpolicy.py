"""The contact policy and the budgets behind a customer operator, without Flink: for `replay`, journeys and tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from keepline.operators.budgets import Budgets, budgets_spec
from keepline.operators.contacts import Contacts, contacts_spec
from keepline.operators.hostrare import HostRare
from keepline.operators.spec import OperatorSpec
from keepline.schemas.packed import CLAIMS, SIGNALS, Frame


class HostPolicy:
    """Give it the customer operator's frames, and the watermark after that operator has had it; take what goes to the sinks."""

    def __init__(self, spec: OperatorSpec) -> None:
        """A spec without a policy contacts nobody, and its frames pass as they are."""
        self.contacts = HostRare(Contacts(json.loads(contacts_spec(spec)))) if spec.policy else None
        self.budgets = HostRare(Budgets(json.loads(budgets_spec(spec)))) if spec.policy else None

    def take(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Frames of the customer operator; signals become what the policy makes of them, where it makes it."""
        for frame in frames:
            if frame.channel != SIGNALS:
                yield frame
            elif self.contacts is not None:
                yield from self._granted(self.contacts.take(frame))

    def advance(self, watermark: int) -> Iterator[Frame]:
        """What is due up to the watermark."""
        if self.contacts is not None and self.budgets is not None:
            yield from self._granted(self.contacts.advance(watermark))
            yield from self.budgets.advance(watermark)

    def _granted(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        for frame in frames:
            if frame.channel == CLAIMS and self.budgets is not None:
                yield from self.budgets.take(frame)
            else:
                yield frame

"""The contact policy as a rare operator: signals in, interventions, decisions, labelled outcomes and receipts out.

It translates and nothing else: bytes to `Signal` and `Contact`, the records of a step (`models.contact.course`) to frames. An intervention
of a campaign with a budget goes out as a claim on the budget (operators/budgets.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from keepline.models.contact import budget, carried, course, records, rest, stored
from keepline.models.contact.records import Output
from keepline.operators.parts import parts_of
from keepline.operators.rare import NO_WAKE, RareKernel, Step
from keepline.operators.signals import Told, unpack
from keepline.operators.spec import OperatorSpec
from keepline.schemas.packed import (
    CLAIMS,
    DECISIONS,
    ERASED_SEQUENCE,
    ERASURE_RECEIPTS,
    INTERVENTIONS,
    LABELLED_OUTCOMES,
    VIEW_ONLY,
    Frame,
)
from keepline.schemas.records import from_record

CHANNEL = {
    records.INTERVENTION: INTERVENTIONS,
    records.DECISION: DECISIONS,
    records.LABELLED: LABELLED_OUTCOMES,
    records.RECEIPT: ERASURE_RECEIPTS,
}
COUNTED = (
    ("interventions_total", INTERVENTIONS),
    ("decisions_total", DECISIONS),
    ("labelled_outcomes_total", LABELLED_OUTCOMES),
    ("erasure_receipts_total", ERASURE_RECEIPTS),
)


def contacts_spec(spec: OperatorSpec) -> bytes:
    """What the operator is told: the policy, and of the models what signals leave out."""
    parts = [
        {"names": part.names, "scores": [(score.name, score.model_id, score.version) for score in part.scores]} for part in parts_of(spec)
    ]
    return json.dumps({"kind": "contacts", "policy": spec.policy, "parts": parts}).encode()


class Contacts(RareKernel):
    """Keyed by customer; the state is `models.contact.stored`'s."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        """PolicyError for a policy that cannot be read."""
        self.policy = carried.from_json(spec["policy"])
        self._parts = [Told(tuple(part["names"]), tuple(map(tuple, part["scores"]))) for part in spec["parts"]]

    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:
        """One signal."""
        signal = unpack(frame, self._parts)
        if state is not None and (slept := rest.asleep(state, signal, self.policy)) is not None:
            return Step(slept, changed=slept is not state)
        contact = stored.unpack(state) if state is not None else None
        before = contact.decisions if contact is not None else 0
        step = course.on_signal(contact, signal, self.policy)
        out = framed(step.outputs, before, frame.created_ms)
        if signal.event_type == "Erasure":
            out += gone(key, max(contact.clock if contact is not None else 0, signal.time))
        return self._left(step, out)

    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:  # noqa: ARG002 — the state says whose it is
        """The customer's timer."""
        if state is None:
            return Step(None, NO_WAKE, changed=False)
        contact = stored.unpack(state)
        step = course.on_time(contact, due, self.policy)
        return self._left(step, framed(step.outputs, contact.decisions))

    def _left(self, step: course.Step, frames: list[Frame]) -> Step:
        state = None if step.contact is None else stored.pack(step.contact)
        return Step(state, step.wake, frames)

    def describe(self) -> list[Mapping[str, Any]]:
        """Counts of what is put out."""
        policy = {"policy": self.policy.name, "version": str(self.policy.version)}
        return [
            *({"kind": "frames", "name": name, "channel": channel} for name, channel in COUNTED),
            {"kind": "info", "name": "policy_info", "labels": policy},
        ]


def framed(outputs: Iterable[Output], decided: int, created_ms: int = 0) -> list[Frame]:
    """The records of a step as frames. `decided`: how many decisions came before, by which the view tells records of one moment apart."""
    frames = []
    for output in outputs:
        if output.kind == records.CLAIM:
            decided += 1
            value, channel = budget.pack_claim(output.record), CLAIMS
        else:
            decided += output.kind == records.DECISION
            value, channel = from_record(records.RECORD_NAMES[output.kind], output.record), CHANNEL[output.kind]
        # An intervention stands before its decision, and has its number.
        number = decided + (output.kind == records.INTERVENTION)
        frames.append(Frame(channel, number, output.at, created_ms, output.key.encode(), value))
    return frames


def gone(key: bytes, time: int) -> list[Frame]:
    """What takes an erased customer's interventions and decisions from the view; their topics only time empties.

    `time` is not before any of them: the view keeps what is newer.
    """
    return [Frame(channel, ERASED_SEQUENCE, time, 0, key, b"", VIEW_ONLY) for channel in (INTERVENTIONS, DECISIONS)]

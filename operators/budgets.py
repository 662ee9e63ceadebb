"""The budgets of campaigns as a rare operator: claims in, interventions and decisions out. Keyed by campaign, UTC day and shard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from keepline.models.contact import budget, carried
from keepline.operators.contacts import framed
from keepline.operators.rare import RareKernel, Step
from keepline.operators.spec import OperatorSpec
from keepline.schemas.packed import DECISIONS, INTERVENTIONS, Frame


def budgets_spec(spec: OperatorSpec) -> bytes:
    """What the operator is told: the policy."""
    return json.dumps({"kind": "budgets", "policy": spec.policy}).encode()


class Budgets(RareKernel):
    """The state is a count, `models.contact.budget`'s."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        """PolicyError for a policy that cannot be read."""
        self.policy = carried.from_json(spec["policy"])

    def run(self, key: bytes, state: bytes | None, frame: Frame) -> Step:  # noqa: ARG002 — the claim says whose it is
        """One claim."""
        claim = budget.read_claim(frame.value)
        after, outputs, wake = budget.on_claim(state, claim, self.policy)
        # The claim's own sequence is that of its decision.
        return Step(after, wake, [each._replace(sequence=frame.sequence) for each in framed(outputs, 0, frame.created_ms)])

    def fire(self, key: bytes, state: bytes | None, due: int) -> Step:  # noqa: ARG002 — there is one thing to do
        """The day is long over."""
        after, outputs, wake = budget.on_budget_time()
        return Step(after, wake, framed(outputs, 0))

    def describe(self) -> list[Mapping[str, Any]]:
        """Counts of what is put out."""
        return [
            {"kind": "frames", "name": "interventions_total", "channel": INTERVENTIONS},
            {"kind": "frames", "name": "decisions_total", "channel": DECISIONS},
        ]

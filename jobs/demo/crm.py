"""A SIMULATED CRM: it takes the committed interventions, and answers each with Outcome events that a hash of its id decides.

Nobody was contacted and nobody answered: the shares below are made up, and the answers know nothing of the customer, the offer or the
score. They change no score either, for outcomes are control records. What is real is the way they take: Kafka, the job, labelled rows.

    retention.interventions, read committed ──► take: once an id ──► due: the Outcome events up to a time ──► telemetry

An answer's event time is some minutes or hours after `not_before`, and it is given out when the stream has come that far: an event from
the future would push the watermark past events that are still to come. The CRM learns of an intervention only when it is committed, so
its answers may come some hours of the stream late, which is what the landing window is for.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from keepline.models.contact.arms import number

MINUTE_MS = 60_000
DELIVERED, FAILED, ACCEPTED, DECLINED, COMPLAINED = "DELIVERED", "FAILED", "ACCEPTED", "DECLINED", "COMPLAINED"
SIMULATED_FAILED = 0.06
"""Share of the interventions that do not reach the customer."""
SIMULATED_ANSWERS = ((0.30, ACCEPTED), (0.12, DECLINED), (0.03, COMPLAINED))
"""Of those that do, what the customer says; the others say nothing."""
DELIVERY_MS = (MINUTE_MS, 10 * MINUTE_MS)
"""The least and the most time from `not_before` to the delivery."""
REACTION_MS = (5 * MINUTE_MS, 6 * 60 * MINUTE_MS)
"""The same from the delivery to the customer's answer."""


def answers(intervention: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The Outcome events of an intervention as canonical JSON objects, by time. A function of its id and `not_before` alone."""
    told = str(intervention["intervention_id"])
    reached = intervention["not_before"] + _within(DELIVERY_MS, told, "delivery")
    if _draw(told, "reached") < SIMULATED_FAILED:
        return [_outcome(intervention, FAILED, reached)]
    found = [_outcome(intervention, DELIVERED, reached)]
    draw, share = _draw(told, "answer"), 0.0
    for part, outcome in SIMULATED_ANSWERS:
        share += part
        if draw < share:
            found.append(_outcome(intervention, outcome, reached + _within(REACTION_MS, told, "reaction")))
            break
    return found


def _outcome(intervention: Mapping[str, Any], outcome: str, time: int) -> dict[str, Any]:
    told = intervention["intervention_id"]
    head = {"customer_id": intervention["customer_id"], "event_id": f"crm-{told}-{outcome.lower()}", "event_time": time}
    return {"type": "Outcome", **head, "intervention_id": told, "outcome": outcome}


def _within(limits: tuple[int, int], told: str, purpose: str) -> int:
    least, most = limits
    return least + int(_draw(told, purpose) * (most - least))


def _draw(told: str, purpose: str) -> float:
    """A number in [0, 1) for an intervention and a purpose."""
    return number("simulated-crm", purpose, told) / 2.0**64


class SimulatedCrm:
    """Takes interventions in one thread, gives out answers in another."""

    def __init__(self) -> None:
        """Nothing has been taken."""
        self._lock = threading.Lock()
        self._waiting: list[tuple[int, str, dict[str, Any]]] = []
        self.seen: dict[str, tuple[str, ...]] = {}
        """The interventions that were taken, each with the outcomes that have been given out, in order."""
        self.repeated = 0
        """Interventions that came again."""

    def take(self, intervention: Mapping[str, Any]) -> bool:
        """Takes an intervention, if it is a new one."""
        told = str(intervention["intervention_id"])
        with self._lock:
            if told in self.seen:
                self.repeated += 1
                return False
            self.seen[told] = ()
            for answer in answers(intervention):
                heapq.heappush(self._waiting, (answer["event_time"], answer["event_id"], answer))
            return True

    def due(self, until_ms: int) -> list[dict[str, Any]]:
        """The answers up to a time, by time; each is given out once."""
        found = []
        with self._lock:
            while self._waiting and self._waiting[0][0] <= until_ms:
                answer = heapq.heappop(self._waiting)[2]
                found.append(answer)
                self.seen[answer["intervention_id"]] += (answer["outcome"],)
        return found

    @property
    def counts(self) -> Counter[str]:
        """How many outcomes of each kind have been given out."""
        with self._lock:
            return Counter(outcome for given in self.seen.values() for outcome in given)

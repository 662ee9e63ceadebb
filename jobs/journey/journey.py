"""A journey: customers, what happens to them, and time, which goes on as the scenario says.

    journey.at("2026-03-01 09:00").call(dropped=True)
    journey.after("3d").complaint()

Time is one for all customers, and it is event time: nothing waits, and `after("90d")` takes no longer than `after("1s")`. When it goes on,
everything that is due until then happens: ticks of silent customers, held offers, tickets, outcomes that land. What happens before any time
was said happens at the first time that is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keepline.jobs.journey import times
from keepline.jobs.journey.customer import Customer
from keepline.jobs.journey.run import Entry, Run, spec_of
from keepline.jobs.journey.scores import BASE, MODEL_ID, THRESHOLD, dial, journey_model
from keepline.jobs.journey.times import JourneyError
from keepline.models.contact.arms import arm_of
from keepline.models.contact.carried import from_json
from keepline.models.contact.document import DEFAULT
from keepline.models.contact.rules import Policy
from keepline.models.errors import ModelError
from keepline.models.manifest import MANIFEST_FILE
from keepline.operators.spec import OperatorSpec

START = "2025-01-06 09:00"
"""When a journey begins that says no time: a Monday morning, on the customer's clock."""


class World:
    """What all customers of a journey have in common: time, policy, model, and the run."""

    def __init__(self, policy: Policy | Path | str, model: Path | Mapping[str, Any]) -> None:
        self._policy, self._model = policy, model
        self.now: int | None = None
        self.steps: list[dict[str, Any] | int] = []
        """What was done, in order: an event, or a moment (epoch ms) to which time went on."""
        self._waiting: list[tuple[Customer, dict[str, Any], str]] = []
        self._manifest: Mapping[str, Any] | None = None
        self._run: Run | None = None
        self._spec: OperatorSpec | None = None
        self._rules: Policy | None = None
        self._events = 0

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The model's, whole."""
        if isinstance(self._model, Path) and self._manifest is None:
            file = self._model / MANIFEST_FILE if self._model.is_dir() else self._model
            try:
                self._manifest = dict(json.loads(file.read_bytes()))
            except (OSError, ValueError) as error:
                msg = f"no model can be read at {file}: {error}; give a folder that `keepline train` wrote, or its {MANIFEST_FILE}"
                raise ModelError(msg) from None
        return self._model if isinstance(self._model, Mapping) else self._manifest or {}

    @property
    def spec(self) -> OperatorSpec:
        """What the operators are told."""
        if self._spec is None:
            where = str(self._model) if isinstance(self._model, Path) else "the journey's model"
            self._spec = spec_of(self._policy, self.manifest, where)
        return self._spec

    @property
    def rules(self) -> Policy:
        """The policy, read."""
        if self._rules is None:
            self._rules = from_json(self.spec.policy)
        return self._rules

    @property
    def run(self) -> Run:
        """The run so far."""
        if self._run is None:
            self._run = Run(self.spec)
        return self._run

    def choose(self, policy: Policy | Path | str | None = None, model: Path | Mapping[str, Any] | None = None) -> None:
        """Takes another policy or model, before anything has happened."""
        if self._waiting or self.now is not None:
            msg = "the policy and the model of a journey are chosen before anything happens: put this line at its beginning"
            raise JourneyError(msg)
        self._policy = self._policy if policy is None else policy
        self._model = self._model if model is None else model
        self._manifest = self._spec = self._rules = self._run = None

    def number(self) -> int:
        """A number that no other event of the journey has."""
        self._events += 1
        return self._events

    def go_on(self, customer: Customer, until: int, written: str) -> None:
        """Time passes; what has waited for a first time happens then."""
        if self.now is not None and until < self.now:
            msg = (
                f"{written} is before {times.shown(self.now, customer.zone)}, which it is by now, and time goes on only: put the steps in "
                'order; an event that comes late has a time of its own: journey.event("Call", happened=…)'
            )
            raise JourneyError(msg)
        self.run.advance(until)
        self.now = until
        self.steps.append(until)
        waiting, self._waiting = self._waiting, []
        for each, event, note in waiting:
            self.send(each, event, note)

    def send(self, customer: Customer, event: dict[str, Any], note: str = "") -> None:
        """An event now; one before any time waits for it."""
        if self.now is None:
            self._waiting.append((customer, event, note))
            return
        whole = customer.timed(event, self.now)
        self.steps.append(whole)
        self.run.event(whole, self.now, note)

    def begun(self, customer: Customer) -> int:
        """Now; a journey that has said no time begins here."""
        if self.now is None:
            self.go_on(customer, times.moment(START, customer.zone), START)
        assert self.now is not None  # noqa: S101
        return self.now

    def dial(self, score: float) -> int:
        """What `scores.dial` says; JourneyError for a model that has none."""
        if self.manifest.get("model_id") != MODEL_ID:
            msg = (
                f"the score is that of model {self.manifest.get('model_id')!r}, which journey.score() cannot set: "
                "leave the model out, or let events move the score"
            )
            raise JourneyError(msg)
        return dial(score, self.manifest)


class Journey(Customer):
    """The first customer, c-1, and the way to all others. Every step gives the customer back, so that steps can be chained."""

    def __init__(self, policy: Policy | Path | str = DEFAULT, model: Path | Mapping[str, Any] | None = None) -> None:
        """The policy is a file, YAML text or a Policy; the model a folder, a manifest or None for one whose score `score` sets."""
        super().__init__(World(policy, journey_model() if model is None else model), "c-1")
        self._customers: dict[str, Customer] = {"c-1": self}

    def policy(self, policy: Policy | Path | str) -> Journey:
        """Takes this policy: a file (a Path), YAML text, or a Policy. Before anything happens."""
        self.world.choose(policy=policy)
        return self

    def model(self, path: Path | str) -> Journey:
        """Takes a trained model, a folder or its manifest: the score is what it makes of the events. Before anything happens."""
        self.world.choose(model=Path(path))
        return self

    def weights(self, *, base: float = BASE, threshold: float = THRESHOLD, **features: float) -> Journey:
        """Takes a model in which one unit of each of these features adds so much to the logit. Before anything happens.

        Args:
            base: the score of a customer with none of them.
            threshold: what the policy's word `threshold` stands for.
            **features: of docs/features.md, such as dropped_calls_7d=1.5.
        """
        self.world.choose(model=journey_model(base, threshold, features))
        return self

    def customer(self, customer_id: str = "", *, arm: str = "") -> Customer:
        """Another customer; with `arm` (TREATMENT, CONTROL) and no id, the first of c-1, c-2, … who is in that group."""
        if not customer_id:
            holdout = self.world.rules.holdout
            if arm not in ("TREATMENT", "CONTROL") or (arm == "CONTROL" and holdout is None):
                has = "" if holdout else ", and this policy has no control group"
                msg = f"a customer of arm {arm!r}: expected an id, or arm TREATMENT or CONTROL{has}"
                raise JourneyError(msg)
            customer_id = next(each for n in range(1, 1 << 20) if arm_of(each := f"c-{n}", holdout) == arm)
        return self._customers.setdefault(customer_id, Customer(self.world, customer_id))

    def restart(self) -> Journey:
        """The job restarts: of the customers it knows what is in the states' bytes, and nothing else."""
        self.world.run.restart()
        return self

    @property
    def now(self) -> int:
        """The journey's time, epoch ms."""
        return self.world.begun(self)

    @property
    def entries(self) -> list[Entry]:
        """All that happened, in order."""
        self.world.begun(self)
        return self.world.run.entries

    def records(self, kind: str) -> list[dict[str, Any]]:
        """The records of a kind, in order: score, intervention, decision, outcome, receipt, late-event."""
        return [entry.record for entry in self.entries if entry.kind == kind]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events as they came, times in epoch ms."""
        self.world.begun(self)
        return [step for step in self.world.steps if not isinstance(step, int)]

    def write(self, path: Path) -> Path:
        """Writes the events as a file for `keepline replay` and `keepline produce`."""
        path.write_text("".join(json.dumps(sent, ensure_ascii=False) + "\n" for sent in self.events), encoding="utf-8")
        return path

    def run_on_minicluster(self) -> None:
        """Runs the same events through the job on a Flink in this process; AssertionError where its records are others."""
        __tracebackhide__ = True
        from keepline.jobs.journey.minicluster import compare

        self.world.begun(self)
        compare(self)

"""`explain`: why a customer did or did not get an offer, from the Redis view (the newest decision) or from files (all of them).

    Redis, or decisions.jsonl and its neighbours ──► Seen ──► sentences of models/contact/told.py ──► text or JSON

The policy at hand adds limits and names to the decisions that it made itself; of others only what they carry is told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from keepline.jobs import customer_view
from keepline.jobs.settings import mask_url
from keepline.models.contact.facts import Facts
from keepline.models.contact.records import EMITTED
from keepline.models.contact.rules import Level, Policy
from keepline.models.contact.show import when
from keepline.models.contact.told import explained
from keepline.operators.spec import CHANNELS
from keepline.operators.stats import SCORE_NAMES
from keepline.schemas.errors import KeeplineError
from keepline.schemas.packed import DECISIONS, INTERVENTIONS, SCORES
from keepline.schemas.times import to_rfc3339

Progress = Callable[[int, int], None]
Record = Mapping[str, Any]
NOT_IN_REDIS = (
    "no event of the customer has come yet",
    "the keys have expired (redis_ttl)",
    "the customer was erased: a mark says so for a minute, then nothing does",
    "it is another Redis, or the job calls the customer otherwise (keepline pseudonym)",
)
NOT_IN_FILES = (
    "no trigger of the policy has fired for the customer",
    "the customer has another id in these files",
)


class ExplainError(KeeplineError):
    """Files that cannot be read as decisions; the message says what was expected."""


@dataclass(frozen=True)
class Seen:
    """All that a source tells of a customer."""

    customer_id: str
    source: str
    decisions: tuple[Record, ...] = ()
    """In the order in which they were made."""
    interventions: Mapping[str, Record] = field(default_factory=dict)
    """By intervention_id."""
    scores: tuple[Record, ...] = ()
    """The newest of each, churn's first."""
    erased_at: int | None = None
    nothing_means: tuple[str, ...] = ()
    """What it can mean that the source knows nothing."""

    @property
    def known(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.decisions or self.interventions or self.scores)


def from_redis(url: str, customer: str) -> Seen:
    """The newest scores, intervention and decision. ViewReadError where Redis cannot be asked."""
    kept = customer_view.read(url, customer)
    of = {each.channel: each.record for each in kept if not each.erased}
    made = of.get(INTERVENTIONS)
    return Seen(
        customer,
        f"Redis at {mask_url(url)}",
        (of[DECISIONS],) if DECISIONS in of else (),
        {str(made["intervention_id"]): made} if made else {},
        tuple(each.record for each in kept if each.channel == SCORES and not each.erased),
        max((int(each.record["as_of"]) for each in kept if each.erased), default=None),
        NOT_IN_REDIS,
    )


def from_file(path: Path, customer: str, progress: Progress | None = None) -> Seen:
    """All decisions of a file such as `keepline tail` prints. ExplainError for one that has none."""
    return Seen(customer, str(path), tuple(_lines(path, customer, "decision_id", progress)), nothing_means=NOT_IN_FILES)


def from_folder(folder: Path, customer: str, progress: Progress | None = None) -> Seen:
    """All decisions, interventions and the last scores that `keepline replay` wrote into a folder."""
    decisions, interventions, scores = (folder / f"{CHANNELS[channel]}.jsonl" for channel in (DECISIONS, INTERVENTIONS, SCORES))
    if not decisions.is_file():
        msg = f"{folder}: no {decisions.name} in it: expected a folder that `keepline replay retention --out` wrote"
        raise ExplainError(msg)
    found = from_file(decisions, customer, progress)
    made = _lines(interventions, customer, "intervention_id", progress) if interventions.is_file() else ()
    scored = _lines(scores, customer, "score", progress) if scores.is_file() else ()
    last = {str(each["score"]): each for each in scored}
    newest = tuple(last[name] for name in SCORE_NAMES if name in last)
    by_id = {str(each["intervention_id"]): each for each in made}
    return Seen(customer, str(folder), found.decisions, by_id, newest, nothing_means=NOT_IN_FILES)


def _lines(path: Path, customer: str, key: str, progress: Progress | None) -> Iterator[Record]:
    """The customer's records of a file, which have this field."""
    # Most lines are of others, and reading JSON takes longer than looking for the id as it may be written.
    needles = {json.dumps(customer).encode(), json.dumps(customer, ensure_ascii=False).encode()}
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if progress and number % 10_000 == 0:
                progress(number, 0)
            if not any(needle in line for needle in needles):
                continue
            try:
                record = orjson.loads(line)
                if record["customer_id"] == customer:
                    record[key]
                    yield record
            except (ValueError, KeyError, TypeError):
                msg = (
                    f"{path}:{number}: expected a record with customer_id and {key}, one JSON object a line, as `keepline tail` prints them"
                )
                raise ExplainError(msg) from None


def as_json(seen: Seen, policy: Policy) -> dict[str, Any]:
    """All of it as plain data; times are epoch ms."""
    decisions = []
    for decision in seen.decisions:
        theirs, ticket = _theirs(decision, policy), _ticket(seen, decision)
        facts = Facts(decision, theirs, ticket=ticket)
        said = asdict(explained(decision, theirs, ticket=ticket))
        told = {"made_from": facts.seen, "local_time": facts.at(facts.now), "time_zone": facts.zone.key, "ticket": facts.ticket}
        decisions.append({**decision, **told, "policy_at_hand": theirs is not None, "explained": said})
    return {
        "customer_id": seen.customer_id,
        "source": seen.source,
        "known": seen.known,
        "erased_at": seen.erased_at,
        "scores": list(seen.scores),
        "interventions": list(seen.interventions.values()),
        "decisions": decisions,
        "nothing_can_mean": [] if seen.known or seen.erased_at is not None else list(seen.nothing_means),
    }


def as_text(seen: Seen, policy: Policy) -> str:
    """All of it for people."""
    if not seen.known:
        return _nothing(seen)
    lines = [f"{seen.customer_id}, by {seen.source}"]
    if seen.scores:
        lines += ["", *map(_score, seen.scores)]
    if not seen.decisions:
        lines += ["", *_undecided(seen.scores, policy)]
    for decision in seen.decisions:
        lines += ["", *_decision(seen, decision, policy)]
    others = sorted({f"{each['policy']} version {each['policy_version']}" for each in seen.decisions if _theirs(each, policy) is None})
    if others:
        at_hand = f"{policy.name} version {policy.version}"
        lines += ["", f"Decided by {' and '.join(others)}; the policy at hand is {at_hand}, so limits are not told: give --policy FILE"]
    return "\n".join(lines) + "\n"


def _nothing(seen: Seen) -> str:
    if seen.erased_at is not None:
        when_ = to_rfc3339(seen.erased_at)
        return f"{seen.customer_id} was erased at {when_}: {seen.source} holds nothing but a mark of it, which goes after a minute\n"
    means = "\n".join(f"  - {each}" for each in seen.nothing_means)
    return f"{seen.source} knows nothing of {seen.customer_id}. That can mean:\n{means}\n"


def _score(score: Record) -> str:
    weigh = ", ".join(
        f"{each['feature']} {each['value']:.6g} {'raises' if each['contribution'] > 0 else 'lowers'} it" for each in score["reasons"]
    )
    by = f"{score['model_id']} version {score['model_version']}"
    return f"Score: {score['score']} {score['value']:.3f} ({score['band']}) as of {to_rfc3339(score['as_of'])}, by {by}: {weigh}"


def _undecided(scores: Iterable[Record], policy: Policy) -> list[str]:
    """Why there may be no decision: what each trigger waits for."""
    lines = [f"Nothing was decided: no trigger of {policy.name} version {policy.version} is known to have fired. They wait for:"]
    known = {f"score:{each['score']}": each["value"] for each in scores}
    for trigger in policy.triggers:
        value = known.get(trigger.when.source) if isinstance(trigger.when, Level) else None
        is_ = f" (it is {value:.3f})" if value is not None else ""
        lines.append(f"  {trigger.name}: {when(trigger.when)}{is_}")
    return lines


def _decision(seen: Seen, decision: Record, policy: Policy) -> Iterator[str]:
    theirs, ticket = _theirs(decision, policy), _ticket(seen, decision)
    facts = Facts(decision, theirs, ticket=ticket)
    said = explained(decision, theirs, ticket=ticket)
    made = seen.interventions.get(str(decision["intervention_id"])) if facts.result == EMITTED else None
    yield f"{facts.at(facts.now)} {facts.zone.key} ({to_rfc3339(facts.now)})  {facts.result} {facts.reason}"
    told = (
        ("Fired", said.fired),
        ("Decided", said.decided + (_delivery(made, facts) if made else "")),
        ("Because", said.because),
        ("Next" if facts.result == EMITTED else "To change", said.change),
        ("Made from", "; ".join(f"{name}: {words}" for name, words in facts.numbers())),
    )
    for name, words in told:
        if words:
            yield f"  {name + ':':<11} {words}"


def _delivery(made: Record, facts: Facts) -> str:
    return f" by {made['channel']}, from {facts.at(made['not_before'])} to {facts.at(made['expires_at'])}: {made['offer']}"


def _theirs(decision: Record, policy: Policy) -> Policy | None:
    """The policy at hand, if it made this decision."""
    return policy if (decision.get("policy"), decision["policy_version"]) == (policy.name, policy.version) else None


def _ticket(seen: Seen, decision: Record) -> bool | None:
    """Whether its intervention says that it is a ticket for people; None where that is not known."""
    made = seen.interventions.get(str(decision["intervention_id"]))
    return None if made is None else bool(made.get("escalation_of"))

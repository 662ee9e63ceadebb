"""When a trigger fires and whom an offer suits, as a policy file writes them.

at_risk:   {score: churn, at_least: threshold}          a Level of a score
overdue:   {feature: overdue_bills, at_least: 1}        a Level of a feature
rising:    {score: churn, rises_by: 0.2, within: 7d}    a Rise
complaint: {event: SupportContact, topic: [COMPLAINT]}  Happens

if: [{reason: [bill_rise]}, {feature: monthly_charge, at_least: 70, below: 200}, {score: churn, at_least: HIGH}]
"""

from __future__ import annotations

import math
from functools import partial

from ruamel.yaml.nodes import Node

from keepline.models.contact.compiled import code
from keepline.models.contact.names import ModelNames
from keepline.models.contact.rules import Condition, Happens, Level, Rise, Trigger
from keepline.models.contact.told import RESERVED
from keepline.models.contact.values import Part, PolicyDocument
from keepline.schemas.catalog import EVENT_TYPES, EventType
from keepline.schemas.document import Entry, closest, kind, nearest

TRIGGER = {
    "score": ("score", "at_least", "rises_by", "within", "priority"),
    "feature": ("feature", "at_least", "priority"),
    "event": ("event", "priority"),
}
"""The keys of a trigger by what it is about; an event's fields of symbols come on top."""
CONDITION = {"reason": ("reason",), "feature": ("feature", "at_least", "below"), "score": ("score", "at_least", "below")}
EVENTS = {event.name: event for event in EVENT_TYPES if not event.control}
"""What a trigger may wait for: control records lead to no contact."""
PROBABILITIES = ("churn", "p_alive")
"""Scores between 0 and 1."""


def symbol_fields(event: EventType) -> dict[str, tuple[str, ...]]:
    """The fields of an event that hold one of some symbols."""
    return {field.name: field.symbols for field in event.fields if field.symbols}


def trigger(doc: PolicyDocument, name: str, entry: Entry, model: ModelNames) -> Trigger | None:
    """The trigger of one `name: {…}`; None where it is wrong, which is noted."""
    before = doc.noted
    part = Part(doc, f"trigger {name}", entry.key, entry.value)
    if code(name) in RESERVED:
        doc.wrong(entry.key, f"trigger {name} would give its decisions the reason {code(name)}, which has a meaning of its own: rename it")
    subject = _subject(part, entry.key, tuple(TRIGGER))
    if subject == "event":
        when: Level | Rise | Happens = _happens(part)
    elif subject is None:
        return None
    else:
        when = _number(part, entry.key, subject, model)
    priority = part.get("priority", partial(doc.whole, least=0), 0)
    return Trigger(name, when, priority) if doc.noted == before else None


def condition(doc: PolicyDocument, offer: str, node: Node, model: ModelNames) -> Condition | None:
    """One condition of an offer; None where it is wrong, which is noted."""
    before = doc.noted
    part = Part(doc, f"a condition of {offer}", node, node)
    subject = _subject(part, node, tuple(CONDITION))
    if subject is None:
        return None
    _only(part, CONDITION[subject])
    if subject == "reason":
        made = Condition(reasons=part.get("reason", partial(doc.several, known=model.features, those="a feature of the model"), ()))
    else:
        source = _source(part, subject, model)
        if part.lacks("at_least", "below"):
            doc.wrong(node, f"{part.what} has no limit: expected at_least: or below:, or both")
        low, high = _limit(part, "at_least", source, model, -math.inf), _limit(part, "below", source, model, math.inf)
        if low >= high:
            doc.wrong(node, f"no number is at least {low:g} and below {high:g}: expected at_least: less than below:")
        made = Condition(source, low, high)
    return made if doc.noted == before else None


def _subject(part: Part, at: Node, subjects: tuple[str, ...]) -> str | None:
    """Which of these words it is about: exactly one."""
    found = [word for word in subjects if part.has(word)]
    if len(found) == 1:
        return found[0]
    words = f"{', '.join(subjects[:-1])} or {subjects[-1]}"
    if found:
        part.doc.wrong(part.keys[found[1]].key, f"{part.what} has {' and '.join(found)}: expected one of them; make it two")
    elif part.readable:
        slip = next((key for key in part.keys if closest(key, subjects)), None)
        where = at if slip is None else part.keys[slip].key
        part.doc.wrong(where, f"{part.what} does not say what it is about: expected {words}{nearest(slip, subjects) if slip else ''}")
    return None


def _only(part: Part, known: tuple[str, ...]) -> None:
    for name, entry in part.keys.items():
        if name not in known:
            hint = nearest(name, known)
            part.doc.wrong(entry.key, f"unknown key {name!r} in {part.what}, beside {known[0]}{hint}; expected {', '.join(known)}")


def _source(part: Part, subject: str, model: ModelNames) -> str:
    if subject == "score":
        those = "a score that is computed" if len(model.scores) > 1 else "the only score that is computed"
        return "score:" + part.get("score", partial(part.doc.one_of, known=model.scores, those=those), "")
    return "feature:" + part.get("feature", partial(part.doc.one_of, known=model.features, those="a feature of the model"), "")


def _probability(source: str) -> bool:
    return source in {f"score:{name}" for name in PROBABILITIES}


def _limit(part: Part, key: str, source: str, model: ModelNames, fallback: float) -> float:
    """A limit of a score or a feature."""
    before = part.doc.noted
    limit = part.get(key, partial(part.doc.number, words=model.words if source.startswith("score:") else None), fallback)
    if part.has(key) and part.doc.noted == before and _probability(source) and not 0 < limit < 1:
        part.doc.wrong(
            part.node(key), f"{key} of {part.what} is {limit:g}: expected a number above 0 and below 1, as the score is a probability"
        )
    return limit


def _number(part: Part, at: Node, subject: str, model: ModelNames) -> Level | Rise:
    doc = part.doc
    source = _source(part, subject, model)
    _only(part, TRIGGER[subject])
    rise = [key for key in ("rises_by", "within") if part.has(key) and subject == "score"]
    if not rise:
        if part.lacks("at_least", "rises_by"):
            ways = "at_least:, or rises_by: with within:" if subject == "score" else "at_least:"
            doc.wrong(at, f"{part.what} does not say when it fires: expected {ways}")
        return Level(source, _limit(part, "at_least", source, model, 0.0))
    if part.has("at_least"):
        doc.wrong(part.keys[rise[0]].key, f"{part.what} has at_least and {rise[0]}: expected a level or a rise; make it two triggers")
        return Rise(source, 0.1, 1)
    before = doc.noted
    by = part.need("rises_by", doc.number, 0.1)
    if doc.noted == before and (by <= 0 or (by >= 1 and _probability(source))):
        top = " and below 1, as the score is a probability" if _probability(source) else ""
        doc.wrong(part.node("rises_by"), f"rises_by of {part.what} is {kind(part.node('rises_by'))}: expected a number above 0{top}")
    return Rise(source, by, part.need("within", doc.duration, 1))


def _happens(part: Part) -> Happens:
    doc = part.doc
    name = part.get("event", partial(doc.one_of, known=EVENTS, those="a type of event that is no control record"), "")
    if not name:
        return Happens("")  # its fields cannot be told
    fields = symbol_fields(EVENTS[name])
    _only(part, (*TRIGGER["event"], *fields))
    asked = [key for key in part.keys if key in fields]
    if not asked:
        return Happens(name)
    for extra in asked[1:]:
        doc.wrong(part.keys[extra].key, f"{part.what} has {asked[0]} and {extra}: expected at most one field; remove one")
    those = f"a symbol of {name}.{asked[0]}"
    return Happens(name, asked[0], part.get(asked[0], partial(doc.several, known=fields[asked[0]], those=those), ()))

"""When a trigger fires and whom an offer suits, as a policy file writes them.

at_risk:   {score: churn, at_least: threshold}                a Level of a score
leaving:   {score: p_alive, below: 0.3}                       likewise, from the other side
overdue:   {feature: overdue_bills, at_least: 1}              a Level of a feature
rising:    {score: churn, rises_by: 0.2, within: 7d}          a Rise
falling:   {score: clv_bgnbd, falls_by: 30%, within: 30d}     a Fall
complaint: {event: SupportContact, topic: [COMPLAINT]}        Happens

if: [{reason: [bill_rise]}, {feature: monthly_charge, at_least: 70, below: 200}, {score: churn, at_least: HIGH}]
"""

from __future__ import annotations

import math
from functools import partial

from ruamel.yaml.nodes import Node

from keepline.models.contact.compiled import code
from keepline.models.contact.names import ModelNames, ScoreNames
from keepline.models.contact.rules import Condition, Fall, Happens, Level, Rise, Trigger, When
from keepline.models.contact.told import RESERVED
from keepline.models.contact.values import Part, PolicyDocument
from keepline.schemas.catalog import EVENT_TYPES, EventType
from keepline.schemas.document import Entry, closest, kind, nearest

TRIGGER = {
    "score": ("score", "at_least", "below", "rises_by", "falls_by", "within", "priority"),
    "feature": ("feature", "at_least", "below", "priority"),
    "event": ("event", "priority"),
}
"""The keys of a trigger by what it is about; an event's fields of symbols come on top."""
CONDITION = {"reason": ("reason",), "feature": ("feature", "at_least", "below"), "score": ("score", "at_least", "below")}
EVENTS = {event.name: event for event in EVENT_TYPES if not event.control}
"""What a trigger may wait for: control records lead to no contact."""


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
        when: When = _happens(part)
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
        source, score = _source(part, subject, model)
        if part.lacks("at_least", "below"):
            doc.wrong(node, f"{part.what} has no limit: expected at_least: or below:, or both")
        made = Condition(source, *_limits(part, node, score))
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


def _source(part: Part, subject: str, model: ModelNames) -> tuple[str, ScoreNames | None]:
    """The source of a number, and what is known of it where it is a score."""
    if subject == "score":
        known = [score.name for score in model.scores]
        those = "a score that is computed" if len(known) > 1 else "the only score that is computed"
        name = part.get("score", partial(part.doc.one_of, known=known, those=those), "")
        return f"score:{name}", model.score(name)
    return "feature:" + part.get("feature", partial(part.doc.one_of, known=model.features, those="a feature of the model"), ""), None


def _limits(part: Part, at: Node, score: ScoreNames | None) -> tuple[float, float]:
    """(at_least, below) of a score or a feature; `at` is where it is noted that no number is within them."""
    low, high = _limit(part, "at_least", score, -math.inf), _limit(part, "below", score, math.inf)
    if low >= high:
        part.doc.wrong(at, f"no number is at least {low:g} and below {high:g}: expected at_least: less than below:")
    return low, high


def _limit(part: Part, key: str, score: ScoreNames | None, fallback: float) -> float:
    """A limit of a score or a feature; of a score that there is not, what it may be cannot be said."""
    if score is None and part.has("score"):
        return fallback
    before = part.doc.noted
    limit = part.get(key, partial(part.doc.number, words=score.words if score else None), fallback)
    if score is None or not part.has(key) or part.doc.noted > before or 0 < limit < (1 if score.probability else math.inf):
        return limit
    word = str(part.node(key).value)
    number = f"{word}, which is {limit:g}" if word in score.words else f"{limit:g}"
    span = "above 0 and below 1, as the score is a probability" if score.probability else "above 0, as the score is an amount of money"
    part.doc.wrong(part.node(key), f"{key} of {part.what} is {number}: expected a number {span}")
    return fallback


def _number(part: Part, at: Node, subject: str, model: ModelNames) -> Level | Rise | Fall:
    """A level of a score or a feature, or a move of a score."""
    doc = part.doc
    source, score = _source(part, subject, model)
    _only(part, TRIGGER[subject])
    levels = [key for key in ("at_least", "below") if part.has(key)]
    moves = [key for key in ("rises_by", "falls_by", "within") if part.has(key) and subject == "score"]
    if not moves:
        if part.lacks("at_least", "below", "rises_by", "falls_by"):
            ways = "at_least: or below:, or rises_by: or falls_by: with within:" if subject == "score" else "at_least: or below:"
            doc.wrong(at, f"{part.what} does not say when it fires: expected {ways}")
        return Level(source, *_limits(part, at, score))
    if levels:
        what = f"{part.what} has {levels[0]} and {moves[0]}"
        doc.wrong(part.keys[moves[0]].key, f"{what}: expected a level, a rise or a fall; make it two triggers")
        return Level(source)
    if moves[:2] == ["rises_by", "falls_by"]:
        doc.wrong(part.keys["falls_by"].key, f"{part.what} has rises_by and falls_by: expected one of them; make it two triggers")
    elif part.lacks("rises_by", "falls_by"):
        doc.wrong(at, f"{part.what} has within, but no rises_by or falls_by: expected one of them; add it")
    within = part.need("within", doc.duration, 1)
    if part.has("falls_by"):
        return Fall(source, part.get("falls_by", doc.share, 0.5), within)
    return Rise(source, _step(part, score), within)


def _step(part: Part, score: ScoreNames | None) -> float:
    """By how much a score has to rise."""
    doc, before = part.doc, part.doc.noted
    by = part.get("rises_by", doc.number, 0.1)
    if not part.has("rises_by") or score is None:
        return by
    if not score.probability:
        doc.wrong(
            part.keys["rises_by"].key,
            f"{part.what} has rises_by, but {score.name} is no probability: expected churn or p_alive; use at_least:",
        )
    elif doc.noted == before and not 0 < by < 1:
        told = kind(part.node("rises_by"))
        doc.wrong(
            part.node("rises_by"),
            f"rises_by of {part.what} is {told}: expected a number above 0 and below 1, as the score is a probability",
        )
    return by


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

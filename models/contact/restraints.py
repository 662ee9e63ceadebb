"""What holds a contact back and what follows it, in a policy file: consent, quiet hours, caps, control group, tickets, budgets.

Each function reads one section, and gives what is in force without it where the file has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from keepline.models.contact.rules import CHANNELS, DAY_MS, Budget, Cap, Escalation, Holdout, QuietHours
from keepline.models.contact.values import LABEL, WORD, Part, PolicyDocument
from keepline.schemas.document import nearest

CONSENT = ("marketing", "profiling")
REQUIRED = ("required", "assumed")
QUIET = ("from", "to", "channels")
CAP = ("at_most", "per", "channel")
HOLDOUT = ("programme", "control")
ESCALATION = ("after", "kind", "channel", "offer", "valid")
BUDGET = ("per_day", "shards")
OUTCOMES = ("landing",)
MOST_SHARDS = 1024
_DAY = 24 * 60


def consent(doc: PolicyDocument, top: Part) -> tuple[bool, bool]:
    """Whether marketing, and whether profiling, needs a consent that grants it; else only one that does not refuse it."""
    if not top.has("consent"):
        return True, False
    part = _section(doc, top, "consent", CONSENT)
    choice = partial(doc.choice, options=REQUIRED)
    return part.get("marketing", choice, "required") == "required", part.get("profiling", choice, "assumed") == "required"


def quiet_hours(doc: PolicyDocument, top: Part) -> tuple[QuietHours, ...]:
    """The quiet hours, which leave every channel some of the day."""
    found: list[QuietHours] = []
    loud = {channel: set(range(_DAY)) for channel in CHANNELS}
    for node in doc.listed(top.node("quiet_hours"), "quiet_hours") if top.has("quiet_hours") else []:
        before = doc.noted
        part = Part(doc, "quiet hours", node, node, QUIET)
        start, end = part.need("from", doc.time_of_day, 0), part.need("to", doc.time_of_day, 0)
        everywhere: tuple[str, ...] = CHANNELS
        channels = part.get("channels", partial(doc.several, known=CHANNELS, those="a channel"), everywhere)
        if doc.noted > before:
            continue
        hours = QuietHours(start, end, channels)
        if start == end:
            doc.wrong(part.node("to"), 'quiet hours end when they begin: expected two times, such as from: "21:00", to: "08:00"')
        elif hours in found:
            doc.wrong(node, "the same quiet hours come twice: expected once; remove one")
        else:
            _still(doc, part, hours, loud)
        found.append(hours)
    return tuple(found)


def _still(doc: PolicyDocument, part: Part, hours: QuietHours, loud: dict[str, set[int]]) -> None:
    """Takes the minutes of quiet hours from the day, and notes the channels that they leave none."""
    quiet = set(range(hours.start, hours.end)) if hours.start < hours.end else {*range(hours.start, _DAY), *range(hours.end)}
    full = []
    for channel in hours.channels:
        full += [channel] if loud[channel] and not loud[channel] - quiet else []
        loud[channel] -= quiet
    if full:
        doc.wrong(
            part.node("from"), f"quiet hours cover the whole day for {', '.join(full)}: expected some time that is left; shorten them"
        )


def caps(doc: PolicyDocument, top: Part) -> tuple[Cap, ...]:
    """The frequency caps."""
    found: list[Cap] = []
    for node in doc.listed(top.node("caps"), "caps") if top.has("caps") else []:
        before = doc.noted
        part = Part(doc, "a cap", node, node, CAP)
        cap = Cap(
            part.need("at_most", partial(doc.whole, least=1), 1),
            part.need("per", doc.duration, DAY_MS),
            part.get("channel", partial(doc.one_of, known=CHANNELS, those="a channel"), ""),
        )
        same = [one for one in found if (one.per_ms, one.channel) == (cap.per_ms, cap.channel)]
        if doc.noted == before and same:
            doc.wrong(node, f"there is a cap of {same[0].most} for the same time and channel: expected one; keep the lower")
        found.append(cap)
    return tuple(found)


def holdout(doc: PolicyDocument, top: Part) -> Holdout | None:
    """The control group, if there is one."""
    if not top.has("holdout"):
        return None
    part = _section(doc, top, "holdout", HOLDOUT)
    return Holdout(part.need("programme", partial(doc.named, form=LABEL), ""), part.need("control", doc.share, 0.5))


def escalation(doc: PolicyDocument, top: Part, kinds: Sequence[str]) -> Escalation | None:
    """What follows an offer that did not help, if anything; no offer has its kind."""
    if not top.has("escalation"):
        return None
    part = _section(doc, top, "escalation", ESCALATION)
    after = part.need("after", doc.duration, DAY_MS)
    usual = Escalation(after)
    kind = part.get("kind", partial(doc.named, form=WORD), usual.kind)
    if kind in kinds:
        at = part.node("kind") if part.has("kind") else top.keys["escalation"].key
        doc.wrong(at, f"kind of escalation is {kind!r}, and so is an offer's: expected a name of its own; choose another")
    return Escalation(
        after,
        kind,
        part.get("channel", partial(doc.one_of, known=CHANNELS, those="a channel"), usual.channel),
        part.get("offer", doc.text, usual.offer),
        part.get("valid", doc.duration, usual.valid_ms),
    )


def budgets(doc: PolicyDocument, top: Part, campaigns: Sequence[str]) -> tuple[Budget, ...]:
    """The budgets, each of a campaign that some offer names."""
    if not top.has("budgets"):
        return ()
    found = []
    listed = Part(doc, "budgets", top.keys["budgets"].key, top.node("budgets"))
    if listed.readable and not top.node("budgets").value:
        doc.wrong(
            top.keys["budgets"].key, "budgets is empty: expected a campaign, such as spring: {per_day: 1000}; remove it if there is none"
        )
    for name, entry in listed.keys.items():
        doc.named(entry.key, "the name of a campaign", LABEL)
        if name not in campaigns and top.has("offers"):
            doc.wrong(
                entry.key, f"no offer has campaign: {name}: expected one that does{nearest(name, campaigns)}; add it there, or remove this"
            )
        part = Part(doc, f"budget {name}", entry.key, entry.value, BUDGET)
        before = doc.noted
        per_day = part.need("per_day", partial(doc.whole, least=1), 1)
        shards = part.get("shards", partial(doc.whole, least=1, most=MOST_SHARDS), 1)
        if doc.noted == before and part.has("per_day") and shards > per_day:
            doc.wrong(part.node("shards"), f"budget {name} has {shards} shards for {per_day} a day: expected no more shards; lower them")
        found.append(Budget(name, per_day, shards))
    return tuple(found)


def landing(doc: PolicyDocument, top: Part) -> int:
    """How long outcomes are waited for, in ms."""
    return _section(doc, top, "outcomes", OUTCOMES).get("landing", doc.duration, 30 * DAY_MS) if top.has("outcomes") else 30 * DAY_MS


def _section(doc: PolicyDocument, top: Part, name: str, known: tuple[str, ...]) -> Part:
    return Part(doc, name, top.keys[name].key, top.node(name), known)

"""The triggers and the offers of a policy file: each trigger has an offer, each offer a trigger, and no offer hides behind another."""

from __future__ import annotations

from functools import partial

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from keepline.models.contact import conditions, reach
from keepline.models.contact.names import ModelNames
from keepline.models.contact.rules import CHANNELS, DAY_MS, Level, Offer, Trigger
from keepline.models.contact.values import LABEL, WORD, Part, PolicyDocument
from keepline.models.contact.watched import MOST_LEVELS
from keepline.schemas.document import Entry, closest

OFFER = ("for", "if", "channels", "offer", "cooldown", "valid", "service", "campaign")


def read(doc: PolicyDocument, top: Part, model: ModelNames) -> tuple[tuple[Trigger, ...], tuple[Offer, ...]]:
    """All that are sound, in the order of the file; what is wrong is noted."""
    named, offered = _names(doc, top, "triggers"), _names(doc, top, "offers")
    triggers = _triggers(doc, named, model)
    if sum(isinstance(trigger.when, Level) for trigger in triggers) > MOST_LEVELS:
        doc.wrong(
            top.keys["triggers"].key, f"more than {MOST_LEVELS} triggers have at_least or below: expected {MOST_LEVELS} at most; merge some"
        )
    offers = []
    for name, entry in offered.items():
        before = doc.noted
        offer = _offer(doc, name, entry, list(named), model)
        if doc.noted == before:
            offers.append(offer)
    for name in named.keys() - _reached(top, list(named)) if offered else ():
        doc.wrong(named[name].key, f"no offer is for the trigger {name}: expected one; add it to for: of an offer, or remove the trigger")
    for name, reason in reach.unreachable(offers, triggers).items():
        doc.wrong(offered[name].key, f"the offer {name} can never be made: {reason}")
    return tuple(triggers), tuple(offers)


def _names(doc: PolicyDocument, top: Part, section: str) -> dict[str, Entry]:
    """The entries of a section whose keys are names that people give."""
    if not top.has(section):
        return {}
    key, node = top.keys[section]
    found = doc.entries(node, section)
    if isinstance(node, MappingNode) and not node.value:
        doc.wrong(key, f"{section} is empty: expected at least one, each under a name of its own")
    for entry in found.values():
        doc.named(entry.key, f"a name in {section}", WORD)
    return found


def kinds(top: Part) -> list[str]:
    """The names of the offers, sound or not."""
    return [str(key.value) for key, _ in _pairs(top)]


def campaigns(top: Part) -> list[str]:
    """The campaigns that offers name, sound or not."""
    offers = [value.value for _, value in _pairs(top) if isinstance(value, MappingNode)]
    return [str(value.value) for offer in offers for key, value in offer if key.value == "campaign"]


def _pairs(top: Part) -> list[tuple[Node, Node]]:
    node = top.node("offers") if top.has("offers") else None
    return list(node.value) if isinstance(node, MappingNode) else []


def _triggers(doc: PolicyDocument, named: dict[str, Entry], model: ModelNames) -> list[Trigger]:
    found: list[Trigger] = []
    for name, entry in named.items():
        trigger = conditions.trigger(doc, name, entry, model)
        if trigger is None:
            continue
        same = next((each.name for each in found if each.when == trigger.when), None)
        if same is not None:
            doc.wrong(entry.key, f"trigger {name} fires whenever {same} does: expected one of them; remove one")
        found.append(trigger)
    return found


def _offer(doc: PolicyDocument, name: str, entry: Entry, triggers: list[str], model: ModelNames) -> Offer:
    """The offer, with something in place of what is wrong."""
    what = f"offer {name}"
    part = Part(doc, what, entry.key, entry.value, OFFER)
    nodes = doc.listed(part.node("if"), f"if of {what}") if part.has("if") else []
    asked = [conditions.condition(doc, what, node, model) for node in nodes]
    of_file = partial(doc.several, known=triggers, those="a trigger of this file")
    return Offer(
        kind=name,
        offer=part.need("offer", doc.text, ""),
        channels=part.need("channels", partial(doc.several, known=CHANNELS, those="a channel"), ()),
        triggers=part.need("for", of_file if triggers else lambda *_: (), ()),  # without any, that is what is wrong
        conditions=tuple(each for each in asked if each is not None),
        service=part.get("service", doc.flag, False),
        cooldown_ms=part.get("cooldown", doc.duration, 30 * DAY_MS),
        valid_ms=part.get("valid", doc.duration, 7 * DAY_MS),
        campaign=part.get("campaign", partial(doc.named, form=LABEL), ""),
    )


def _reached(top: Part, triggers: list[str]) -> set[str]:
    """The triggers that offers name. A slip counts as the name that is near, for it is noted where it stands."""
    found: set[str] = set()
    for _, offer in _pairs(top):
        values = [value for key, value in offer.value if key.value == "for"] if isinstance(offer, MappingNode) else []
        if not values or not values[0].value:
            return set(triggers)  # whom that offer is for cannot be said
        words = values[0].value if isinstance(values[0], SequenceNode) else values
        found |= {closest(word.value, triggers) or "" for word in words}
    return found

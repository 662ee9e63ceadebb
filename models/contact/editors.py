"""The JSON Schema of policy files, made from the same tables as the checks: editors complete and underline by it.

It is committed as models/policies/policy.schema.json; a test holds both equal. What a schema cannot say (how the parts fit together) the
check at load says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from keepline.models.contact import conditions, offers, restraints
from keepline.models.contact.document import TOP
from keepline.models.contact.names import ModelNames, ScoreNames, names_of_all
from keepline.models.contact.rules import CHANNELS
from keepline.models.contact.values import LABEL, WORD

URL = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": "string", "minLength": 1}
_WHOLE = {"type": "integer", "minimum": 1}
_CHANNEL = {"$ref": "#/$defs/channel"}
_DURATION = {"$ref": "#/$defs/duration"}
_FEATURE = {"$ref": "#/$defs/feature"}
_TIME = {"type": "string", "pattern": r"^([01]\d|2[0-3]):[0-5]\d$", "description": 'a local time, such as "21:00"'}
_SHARE = {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}, {"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$"}]}
FURTHER = ("p_alive", "clv_bgnbd", "clv_formula", "clv_regression")
"""The scores beside churn that a job may compute."""
_PRIORITY = {"type": "integer", "minimum": 0}


def text(features: Sequence[str]) -> str:
    """The schema as it is committed: all scores that there are, with all words that their models may have."""
    deciles = [place / 10 for place in range(1, 10)]
    scores = [("churn", 0.5, (0.25, 0.5), ()), *((name, None, (0.25, 0.5), deciles) for name in FURTHER)]
    return json.dumps(json_schema(names_of_all(scores, features)), indent=1) + "\n"


def json_schema(model: ModelNames) -> dict[str, Any]:
    """The schema of a whole file, with this model's features and scores."""
    sections = {
        "policy": _form(LABEL),
        "version": _WHOLE,
        "time_zone": _TEXT,
        "consent": _object({key: {"enum": list(restraints.REQUIRED)} for key in restraints.CONSENT}),
        "quiet_hours": _some(_object({"from": _TIME, "to": _TIME, "channels": _some(_CHANNEL)}, "from", "to")),
        "caps": _some(_object({"at_most": _WHOLE, "per": _DURATION, "channel": _CHANNEL}, "at_most", "per")),
        "holdout": _object({"programme": _form(LABEL), "control": _SHARE}, "programme", "control"),
        "triggers": _named(WORD.pattern, {"oneOf": _triggers(model)}),
        "offers": _named(WORD.pattern, _offer(model)),
        "escalation": _object(
            {"after": _DURATION, "kind": _form(WORD), "channel": _CHANNEL, "offer": _TEXT, "valid": _DURATION},
            "after",
        ),
        "budgets": _named(LABEL.pattern, _object({"per_day": _WHOLE, "shards": {**_WHOLE, "maximum": restraints.MOST_SHARDS}}, "per_day")),
        "outcomes": _object({"landing": _DURATION}),
    }  # fmt: skip
    assert tuple(sections) == TOP  # noqa: S101  a key that one of them lacks
    defined = {
        "channel": {"enum": list(CHANNELS)},
        "duration": {"type": "string", "pattern": r"^\s*\d+\s*(ms|s|m|h|d)\s*$", "description": "a duration, such as 30m, 12h or 7d"},
        "feature": {"enum": list(model.features)},
    }
    whole = _object(sections, "policy", "version", "triggers", "offers")
    return {"$schema": URL, "title": "Keepline policy", "$defs": defined, **whole}


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


def _form(pattern: re.Pattern[str]) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^{pattern.pattern}$"}


def _named(pattern: str, each: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "minProperties": 1, "additionalProperties": False, "patternProperties": {f"^{pattern}$": each}}


def _some(one: dict[str, Any]) -> dict[str, Any]:
    """One, or a list of them."""
    return {"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}


def _limit(words: Iterable[str]) -> dict[str, Any]:
    return {"anyOf": [{"type": "number"}, {"enum": list(words)}]}


def _alike(model: ModelNames) -> list[tuple[list[str], ScoreNames]]:
    """The scores in groups of the same words and the same kind: names, and one that stands for all."""
    groups: dict[tuple[bool, tuple[str, ...]], list[ScoreNames]] = {}
    for score in model.scores:
        groups.setdefault((score.probability, tuple(score.words)), []).append(score)
    return [([each.name for each in group], group[0]) for group in groups.values()]


def _level(subject: str, known: dict[str, Any], limit: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A number within limits, one of which must be there."""
    limited = _object({subject: known, "at_least": limit, "below": limit, **more}, subject)
    return {**limited, "anyOf": [{"required": ["at_least"]}, {"required": ["below"]}]}


def _triggers(model: ModelNames) -> list[dict[str, Any]]:
    priority: dict[str, Any] = {"priority": _PRIORITY}
    kinds = [_level("feature", _FEATURE, {"type": "number"}, priority)]
    for names, score in _alike(model):
        known: dict[str, Any] = {"score": {"enum": names}}
        kinds.append(_level("score", known["score"], _limit(score.words), priority))
        kinds.append(_object({**known, "falls_by": _SHARE, "within": _DURATION, **priority}, "score", "falls_by", "within"))
        if score.probability:
            kinds.append(_object({**known, "rises_by": {"type": "number"}, "within": _DURATION, **priority}, "score", "rises_by", "within"))
    for event in conditions.EVENTS.values():
        fields = {name: _some({"enum": list(symbols)}) for name, symbols in conditions.symbol_fields(event).items()}
        kinds.append({**_object({"event": {"const": event.name}, "priority": _PRIORITY, **fields}, "event"), "maxProperties": 3})
    return kinds


def _offer(model: ModelNames) -> dict[str, Any]:
    asked = {
        "oneOf": [
            _object({"reason": _some(_FEATURE)}, "reason"),
            _level("feature", _FEATURE, {"type": "number"}, {}),
            *(_level("score", {"enum": names}, _limit(score.words), {}) for names, score in _alike(model)),
        ]
    }
    keys = {
        "for": _some({"type": "string"}), "if": _some(asked), "channels": _some(_CHANNEL), "offer": _TEXT,
        "cooldown": _DURATION, "valid": _DURATION, "service": {"type": "boolean"}, "campaign": _form(LABEL),
    }  # fmt: skip
    assert tuple(keys) == offers.OFFER  # noqa: S101
    return _object(keys, "for", "channels", "offer")

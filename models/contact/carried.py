"""A policy as a plain dictionary and back, exactly: the job carries it in its spec, and `policy show --json` prints it.

The keys are those of rules.py. JSON has no infinity, so a limit that is not asked stands as null.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

from keepline.models.contact.rules import (
    Budget,
    Cap,
    Condition,
    Escalation,
    Fall,
    Happens,
    Holdout,
    Level,
    Offer,
    Policy,
    QuietHours,
    Rise,
    Trigger,
    When,
)
from keepline.models.contact.values import PolicyError

T = TypeVar("T")
_WHEN: dict[str, type[When]] = {"level": Level, "rise": Rise, "fall": Fall, "happens": Happens}
"""A trigger's condition names its class."""


def to_json(policy: Policy) -> dict[str, Any]:
    """The policy as dictionaries, lists, texts, numbers, booleans and null."""
    plain: dict[str, Any] = _plain(policy)
    return plain


def from_json(plain: Mapping[str, Any]) -> Policy:
    """The policy that `to_json` was given. PolicyError for what it did not make."""
    try:
        return _made(
            Policy,
            plain,
            triggers=tuple(_made(Trigger, each, when=_when(each["when"])) for each in plain["triggers"]),
            offers=tuple(_made(Offer, each, conditions=tuple(_condition(one) for one in each["conditions"])) for each in plain["offers"]),
            caps=tuple(_made(Cap, each) for each in plain["caps"]),
            quiet=tuple(_made(QuietHours, each) for each in plain["quiet"]),
            holdout=None if plain["holdout"] is None else _made(Holdout, plain["holdout"]),
            escalation=None if plain["escalation"] is None else _made(Escalation, plain["escalation"]),
            budgets=tuple(_made(Budget, each) for each in plain["budgets"]),
        )
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        msg = f"the policy that the job carries cannot be read: {what}; expected what to_json wrote; submit the job anew"
        raise PolicyError(msg) from None


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        kind = next(({"is": name} for name, one in _WHEN.items() if isinstance(value, one)), {})
        return {**kind, **{each.name: _plain(getattr(value, each.name)) for each in fields(value)}}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and math.isinf(value) else value


def _made(made: type[T], plain: Mapping[str, Any], **parts: Any) -> T:
    """An object of these fields; lists become tuples, and `parts` stand in place of what is nested."""
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
    return made(**{**given, **parts})


def _when(plain: Mapping[str, Any]) -> When:
    kind, given = _WHEN[plain["is"]], {name: value for name, value in plain.items() if name != "is"}
    return _made(kind, given, **(_limits(plain) if kind is Level else {}))


def _condition(plain: Mapping[str, Any]) -> Condition:
    return _made(Condition, plain, **_limits(plain))


def _limits(plain: Mapping[str, Any]) -> dict[str, float]:
    low, high = plain["at_least"], plain["below"]
    return {"at_least": -math.inf if low is None else low, "below": math.inf if high is None else high}

"""The values of a policy file: numbers, durations, times of day, shares, names. Each is read, or what is wrong with it is noted.

A reader gives None where the value is wrong; the error stands in the document then, and the rest of the file is read on. A `Part` reads
the values of one `{key: value}` by its keys.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import ClassVar, TypeVar
from zoneinfo import available_timezones

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from keepline.schemas import document
from keepline.schemas.document import Entry, closest, kind, nearest, scalar, tag
from keepline.schemas.durations import parse_ms

T = TypeVar("T")
MOST = 2**31 - 1
"""The largest whole number that the output records hold."""
WORD = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


class PolicyError(document.DocumentError):
    """A policy file with errors: one a line, each `file:line:column: what, expected, what to do`."""


class PolicyDocument(document.Document):
    """A policy file's root node, its errors so far, and readers of its values."""

    error: ClassVar[type[document.DocumentError]] = PolicyError
    called: ClassVar[str] = "a policy"
    empty: ClassVar[str] = "expected policy:, version:, triggers: and offers:; see docs/policy.md"
    merge: ClassVar[str] = "write out what belongs to each"

    def whole(self, node: Node, what: str, least: int, most: int = MOST) -> int | None:
        """A whole number from `least` to `most`."""
        value = scalar(node) if isinstance(node, ScalarNode) else None
        if type(value) is int and least <= value <= most:
            return value
        top = f" to {most}" if most < MOST else ""
        self.wrong(node, f"{what} is {kind(node)}: expected a whole number from {least}{top}")
        return None

    def number(self, node: Node, what: str, words: Mapping[str, float] | None = None) -> float | None:
        """A finite number, or a word that stands for one."""
        value = scalar(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, str) and words and value in words:
            return words[value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            try:
                wanted = float(value)
            except OverflowError:
                wanted = math.inf
            if math.isfinite(wanted):
                return wanted
        others = f", or one of {', '.join(words)}" if words else ""
        self.wrong(node, f"{what} is {kind(node)}: expected a number{others}{nearest(value, words or ())}")
        return None

    def duration(self, node: Node, what: str) -> int | None:
        """Milliseconds of a duration such as 7d, more than 0."""
        text = str(node.value) if isinstance(node, ScalarNode) and tag(node) == "str" else None
        try:
            ms = parse_ms(text)
        except ValueError as error:
            told = "" if text is None else f"; {error}" if "too long" in str(error) else ""
            self.wrong(node, f"{what} is {kind(node)}: expected a duration such as 30m, 12h or 7d{told}")
            return None
        if ms == 0:
            self.wrong(node, f"{what} is {kind(node)}: expected more than nothing, such as 30m, 12h or 7d")
            return None
        return ms

    def time_of_day(self, node: Node, what: str) -> int | None:
        """Minutes after midnight of a time such as 21:00."""
        text = str(node.value) if isinstance(node, ScalarNode) else ""
        found = _TIME.fullmatch(text)
        if found:
            return int(found[1]) * 60 + int(found[2])
        midnight = '; midnight is "00:00"' if text == "24:00" else ""
        self.wrong(node, f'{what} is {kind(node)}: expected a local time from "00:00" to "23:59"{midnight}')
        return None

    def share(self, node: Node, what: str) -> float | None:
        """A share between nothing and all, as 10% or 0.1."""
        found = _PERCENT.fullmatch(str(node.value)) if isinstance(node, ScalarNode) else None
        value = float(found[1]) / 100 if found else scalar(node) if isinstance(node, ScalarNode) else None
        if type(value) is float and 0 < value < 1:
            return value
        self.wrong(node, f"{what} is {kind(node)}: expected a share above 0 and below all, such as 10% or 0.1")
        return None

    def flag(self, node: Node, what: str) -> bool | None:
        """The words true and false."""
        value = scalar(node) if isinstance(node, ScalarNode) else None
        if isinstance(value, bool):
            return value
        self.wrong(node, f"{what} is {kind(node)}: expected true or false")
        return None

    def named(self, node: Node, what: str, form: re.Pattern[str]) -> str | None:
        """A name that is also a part of keys and codes: of the form WORD or LABEL."""
        name = str(node.value) if isinstance(node, ScalarNode) else ""
        if form.fullmatch(name):
            return name
        letters = "lower-case letters, digits and _" if form is WORD else "letters, digits, dots, dashes and _"
        first = "a letter" if form is WORD else "a letter or a digit"
        self.wrong(node, f"{what} is {kind(node)}: expected at most 64 {letters}, {first} first")
        return None

    def one_of(self, node: Node, what: str, known: Iterable[str], those: str, verb: str = "is") -> str | None:
        """A name out of many, of which the nearest is told, or all where none is near. `those` says what they are."""
        options = list(known)
        name = str(node.value) if isinstance(node, ScalarNode) else ""
        if name in options:
            return name
        near = nearest(name, options)
        self.wrong(node, f"{what} {verb} {kind(node)}: expected {those}{near or ': ' + ', '.join(options)}")
        return None

    def several(self, node: Node, what: str, known: Iterable[str], those: str) -> tuple[str, ...] | None:
        """One or more different names out of many, in the order of the file; None if one is wrong."""
        found: list[str] = []
        options, nodes = list(known), self.listed(node, what)
        for each in nodes:
            name = self.one_of(each, what, options, those, "is" if each is node else "has")
            if name in found:
                self.wrong(each, f"{name} comes twice in {what}: expected once; remove one")
            elif name is not None:
                found.append(name)
        return tuple(found) if found and len(found) == len(nodes) else None

    def time_zone(self, node: Node, what: str) -> str | None:
        """An IANA name."""
        name = str(node.value) if isinstance(node, ScalarNode) else ""
        if name in zones():
            return name
        self.wrong(node, f"{what} is {kind(node)}: expected an IANA name such as Europe/Berlin{nearest(name, zones())}")
        return None


@cache
def zones() -> frozenset[str]:
    """The names of all time zones."""
    return frozenset(available_timezones())


class Part:
    """One `{key: value}` of the file: its values by key, each with a fallback where it is absent or wrong.

    `what` is its name in messages, `at` the node where what is missing is noted: best its own key.
    """

    def __init__(self, doc: PolicyDocument, what: str, at: Node, node: Node, known: Iterable[str] | None = None) -> None:
        """Notes keys that are not `known`, and a node that has none."""
        self.doc, self.what, self._at = doc, what, at
        self.keys: dict[str, Entry] = doc.entries(node, what, known)
        self.readable = isinstance(node, MappingNode)
        written = [str(key.value) for key, _ in node.value] if isinstance(node, MappingNode) else []
        self._odd = [key for key in written if key not in (known or ())]

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self.keys

    def lacks(self, *keys: str) -> bool:
        """Whether none of these keys is there, nor a slip of one, which is noted where it stands."""
        return self.readable and not any(self.has(key) for key in keys) and not any(closest(odd, keys) for odd in self._odd)

    def node(self, key: str) -> Node:
        """The node of its value."""
        return self.keys[key].value

    def get(self, key: str, read: Callable[[Node, str], T | None], fallback: T) -> T:
        """The value of a key that may be absent."""
        if key not in self.keys:
            return fallback
        value = read(self.keys[key].value, f"{key} of {self.what}")
        return fallback if value is None else value

    def need(self, key: str, read: Callable[[Node, str], T | None], fallback: T) -> T:
        """The value of a key that must be there."""
        if self.lacks(key):
            self.doc.wrong(self._at, f"{self.what} has no {key}: expected {key}:; add it")
        return self.get(key, read, fallback)

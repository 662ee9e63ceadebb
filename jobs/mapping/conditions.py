"""`when`: which records an event takes.

Each line names a path and what must hold there; all lines must hold; of a list of such blocks, one.

when: {kind: MOC}                        the value is MOC
when: {kind: [MOC, MTC], dur: {above: 0}}
when: [{a: 1}, {b: {exists: true}}]      one block or the other
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from keepline.jobs.mapping.document import Document, kind, literal, scalar, tag, text_of
from keepline.jobs.mapping.kinds import Wrong, number
from keepline.jobs.mapping.paths import Getter, Origin

Test = Callable[[Any], bool]
Condition = Callable[[Any, Origin], bool]
GetPath = Callable[[Node, str], Getter | None]
"""Compiles a path's node; None where it is wrong, which is noted."""

ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "above": lambda a, b: a > b,
    "at_least": lambda a, b: a >= b,
    "below": lambda a, b: a < b,
    "at_most": lambda a, b: a <= b,
}
WORDS = ("is", "not", *ORDER, "starts_with", "exists")


def compile_when(doc: Document, node: Node, path: GetPath) -> Condition:
    """The condition of a `when:` node; what is wrong is noted."""
    blocks = [_block(doc, each, path) for each in doc.listed(node, "when")]
    return blocks[0] if len(blocks) == 1 else lambda item, origin: any(block(item, origin) for block in blocks)


def _block(doc: Document, node: Node, path: GetPath) -> Condition:
    if not isinstance(node, MappingNode):
        doc.wrong(node, f"when is {kind(node)}: expected path: value lines, such as kind: MOC, or a list of such blocks")
        return lambda _item, _origin: False
    lines: list[tuple[Getter, Test]] = []
    for key, wanted in doc.entries(node, "when").values():
        get = path(key, str(key.value))
        tests = _tests(doc, wanted)
        lines += [(get, test) for test in tests if get is not None]
    if len(lines) == 1:
        get, test = lines[0]
        return lambda item, origin: test(get(item, origin))
    return lambda item, origin: all(test(get(item, origin)) for get, test in lines)


def _tests(doc: Document, node: Node) -> list[Test]:
    if not isinstance(node, MappingNode):
        words = _words(doc, node, "when")
        return [lambda value: _told(value) in words]
    found = doc.entries(node, "when", WORDS)
    if not found:
        doc.wrong(node, f"when is empty here: expected a value, a list of values, or one of {', '.join(WORDS)}")
    return [_test(doc, word, entry.value) for word, entry in found.items()]


def _test(doc: Document, word: str, node: Node) -> Test:
    if word in ORDER:
        return _order(doc, word, node)
    if word == "exists":
        if not isinstance(node, ScalarNode) or tag(node) != "bool":
            doc.wrong(node, f"exists is {kind(node)}: expected true or false")
            return lambda _value: False
        wanted = scalar(node)
        return lambda value: (value is not None) == wanted
    words = _words(doc, node, word)
    if word == "is":
        return lambda value: _told(value) in words
    if word == "not":
        return lambda value: _told(value) not in words
    starts = tuple(start for start in words if start)
    if len(starts) != len(words):
        doc.wrong(node, "starts_with has an empty text: expected the first characters of the value")
    return lambda value: (text_of(value) or "").startswith(starts)


_NO_WORD = object()


def _told(value: Any) -> Any:
    """The value's text, None only for null: a list or an object is no word, but it is there."""
    text = text_of(value)
    return _NO_WORD if text is None and value is not None else text


def _order(doc: Document, word: str, node: Node) -> Test:
    limit = scalar(node) if isinstance(node, ScalarNode) else None
    if type(limit) not in {int, float}:
        doc.wrong(node, f"{word} is {kind(node)}: expected a number")
        return lambda _value: False
    compare = ORDER[word]

    def test(value: Any) -> bool:
        try:
            return compare(number(value), limit)
        except Wrong:  # what is no number is neither above nor below
            return False

    return test


def _words(doc: Document, node: Node, what: str) -> frozenset[str | None]:
    words = []
    for each in doc.listed(node, what):
        if isinstance(each, MappingNode | SequenceNode):
            doc.wrong(each, f"{what} has {kind(each)}: expected a value to compare with")
        else:
            words.append(literal(each))
    return frozenset(words)

"""A YAML file in which every word knows its place, and the list of all that is wrong with it.

The nodes of the YAML are kept as they are, so that an error names line and column, and a scalar its text as written (`0016` stays 0016).
Mapping files and policy files are read with it; each kind of file is a `Document` of its own, with its error class and its words.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, NamedTuple, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from keepline.schemas.errors import KeeplineError

_TAG = "tag:yaml.org,2002:"
_LONGEST = 1 << 20
_MORE = 50


class Problem(NamedTuple):
    """One error and its place, counted from 1; 0 where it is the file's as a whole."""

    line: int
    column: int
    message: str


class DocumentError(KeeplineError):
    """A file with errors: one a line, each `file:line:column: what, expected, what to do`."""

    def __init__(self, message: str, problems: Iterable[Problem] = ()) -> None:
        """The text for people, and the same as data."""
        super().__init__(message)
        self.problems = tuple(problems)


class Entry(NamedTuple):
    """One `key: value` of a YAML mapping."""

    key: Node
    value: Node


class Document:
    """The file's root node, and its errors so far."""

    error: ClassVar[type[DocumentError]] = DocumentError
    called: ClassVar[str] = "such a file"
    """What the file is, in messages; so are the following."""
    brackets: ClassVar[str] = "put a text with [ ] in quotes"
    empty: ClassVar[str] = "expected lines of key: value"
    merge: ClassVar[str] = "write the keys out"

    def __init__(self, name: str, text: str) -> None:
        """Parses; `error` at once for what is no YAML."""
        self.name = name
        self._wrong: list[Problem] = []
        if len(text) > _LONGEST:
            self._stop(0, 0, f"the file has {len(text)} characters: expected at most {_LONGEST}; {self.called} is written by hand")
        try:
            self.root: Node = YAML(typ="safe", pure=True).compose(text)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            told = " ".join(str(part) for part in (error.context, error.problem) if part)
            hint = self.brackets if "'['" in told else "check indentation, colons and quotes"
            self._stop(line, column, f"not YAML: {told}; {hint}")
        except (YAMLError, ValueError, RecursionError) as error:
            self._stop(0, 0, f"not YAML: {type(error).__name__}: {str(error)[:100]}; expected UTF-8 text of key: value")
        if self.root is None:
            self._stop(1, 1, f"the file is empty: {self.empty}")

    def _stop(self, line: int, column: int, message: str) -> NoReturn:
        place = f"{self.name}:{line}:{column}" if line else self.name
        msg = f"{place}: {message}"
        raise self.error(msg, [Problem(line, column, message)]) from None

    def place(self, node: Node) -> str:
        """`file:line` of a node, for the messages of records."""
        return f"{self.name}:{node.start_mark.line + 1}"

    def wrong(self, node: Node, message: str) -> None:
        """One more error."""
        self._wrong.append(Problem(node.start_mark.line + 1, node.start_mark.column + 1, message))

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong so far."""
        return not self._wrong

    @property
    def noted(self) -> int:
        """How many errors so far: as many before a part as after it, and the part is sound."""
        return len(self._wrong)

    def finish(self) -> None:
        """`error` with all errors, in the order of the file."""
        if self._wrong:
            found = sorted(set(self._wrong))
            lines = [f"{self.name}:{line}:{column}: {text}" for line, column, text in found[:_MORE]]
            if len(found) > _MORE:
                lines.append(f"{self.name}: and {len(found) - _MORE} more")
            raise self.error("\n".join(lines), found)

    def entries(self, node: Node, what: str, known: Iterable[str] | None = None) -> dict[str, Entry]:
        """The keys of a mapping node; wrong are other nodes, keys that come twice, and those that are not `known` (None: any)."""
        if not isinstance(node, MappingNode):
            self.wrong(node, f"{what} is {kind(node)}: expected key: value lines")
            return {}
        found: dict[str, Entry] = {}
        names = None if known is None else list(known)
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.wrong(key, f"a key of {what} is {kind(key)}: expected a word")
                continue
            name = literal(key) if names is None else key.value
            if name == "<<":
                self.wrong(key, f"<< is not merged here: {self.merge}")
            elif name in found:
                self.wrong(key, f"{name} comes twice in {what}: expected once; remove one")
            elif names is not None and name not in names:
                self.wrong(key, f"unknown key {name!r} in {what}{nearest(name, names)}; expected {', '.join(names)}")
            else:
                if value.start_mark.line > key.start_mark.line and isinstance(value, ScalarNode) and not value.value:
                    value.start_mark = key.start_mark  # nothing stands there: the error is where the key is
                found[name or "null"] = Entry(key, value)
        return found

    def text(self, node: Node, what: str) -> str | None:
        """A text that is not empty."""
        if isinstance(node, ScalarNode) and tag(node) == "str" and node.value:
            return str(node.value)
        self.wrong(node, f"{what} is {kind(node)}: expected a text; put it in quotes if it is one")
        return None

    def choice(self, node: Node, what: str, options: Sequence[str]) -> str | None:
        """One of these words."""
        value = str(node.value) if isinstance(node, ScalarNode) else None
        if value in options:
            return value
        shown = kind(node) if value is None else repr(value)
        self.wrong(node, f"{what} is {shown}: expected one of {', '.join(options)}{nearest(value, options)}")
        return None

    def listed(self, node: Node, what: str) -> list[Node]:
        """The nodes of a list, or the one node that stands for a list of one."""
        if isinstance(node, SequenceNode):
            if not node.value:
                self.wrong(node, f"{what} is an empty list: expected at least one")
            return list(node.value)
        return [node]


def tag(node: Node) -> str:
    """null, bool, int, float, str, … of a scalar."""
    return str(node.tag).removeprefix(_TAG)


def kind(node: Node) -> str:
    """What a node is, for a message."""
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    name = tag(node)
    return "empty" if name == "null" else f"{node.value!r} ({name})" if name != "str" else repr(node.value)


def literal(node: Node) -> str | None:
    """The text that a value is compared with: as written, but numbers with a point and true and false in their plain form."""
    name = tag(node)
    if name == "null":
        return None
    if name == "bool":
        return str(node.value).lower()
    if name == "float":
        return text_of(scalar(node))
    return str(node.value)


def scalar(node: Node) -> Any:
    """The value that a scalar stands for: None, a bool, an int, a float or a text."""
    name = tag(node)
    value = str(node.value)
    try:
        if name == "null":
            return None
        if name == "bool":
            return value.lower() == "true"
        if name == "int":
            return int(value.replace("_", ""), 0 if value.lstrip("+-")[:2] in {"0x", "0o", "0b"} else 10)
        if name == "float":
            return float(value.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
    except ValueError:
        pass
    return value


def text_of(value: Any) -> str | None:
    """A value as the text that it is compared as: 16 and "16" are the same, so are true and "true"."""
    if type(value) is str:
        return value
    if type(value) is bool:
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if value is None or isinstance(value, dict | list | tuple | bytes):
        return None
    return str(value)


def nearest(name: object, known: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing where nothing is near."""
    close = closest(name, known)
    return "" if close is None else f"; did you mean {close}?"


def closest(name: object, known: Iterable[str]) -> str | None:
    """The known name that may be meant, if one is near: one that differs in case only, else the most alike."""
    listed = list(known)
    same = [one for one in listed if one.casefold() == str(name).casefold()]
    return next(iter(same or difflib.get_close_matches(str(name), listed, 1, 0.6)), None)

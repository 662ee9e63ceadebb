"""One canonical field of an event: where its value comes from, and what is done to it. Checked at load, compiled to one closure.

A plain text is a path. Otherwise exactly one of `path` (of several, the first that is there), `sum` (of those that are there), `constant`
or `hash`, and with path and sum:
`format`, `time_zone`, `ambiguous` (times), `unit` (numbers), `values`, `otherwise`, `default`, and `prefix` (texts).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from keepline.jobs.mapping import times
from keepline.jobs.mapping.document import Document, Entry, kind, literal, nearest, scalar, tag, text_of
from keepline.jobs.mapping.kinds import Convert, Wrong, converter, number
from keepline.jobs.mapping.paths import Getter, Origin
from keepline.jobs.mapping.units import units
from keepline.schemas.catalog import MISSING, EventType, Field
from keepline.schemas.times import TimeError, from_rfc3339

SOURCES = ("path", "sum", "constant", "hash")
TIMES = ("format", "time_zone", "ambiguous")
KEYS = (*SOURCES, *TIMES, "unit", "values", "otherwise", "default", "prefix")
GetPath = Callable[[Node, str], Getter | None]
Read = Callable[[Any, Origin], Any]
"""From the record (or item) and its origin to the canonical value, ABSENT where the field is to have its own default."""
_SHOWN = 60


class Absent:
    """The field is left out: its default in the schema stands."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = Absent()
_UNSET = object()


class Refused(Exception):  # noqa: N818  never leaves this package
    """A record's value that the field cannot have; the text says which, and what was expected."""


class FieldCompiler:
    """Compiles the fields of one event type; `path` compiles a path's node, or notes what is wrong with it."""

    def __init__(self, doc: Document, event: EventType, path: GetPath) -> None:
        self._doc, self._event, self._path = doc, event, path

    def compile(self, field: Field, node: Node) -> Read | None:
        """The field's closure; None where something is wrong, which is noted."""
        doc, what = self._doc, f"{self._event.name}.{field.name}"
        if isinstance(node, ScalarNode):
            if tag(node) != "str" or not node.value:
                doc.wrong(node, f"{what} is {kind(node)}: expected a path; write {{constant: …}} for a value of its own")
                return None
            if node.value in field.symbols:
                doc.wrong(
                    node,
                    f"{what} is the path {node.value}, which is also one of its values: write {{constant: {node.value}}}, "
                    f"or {{path: {node.value}}} for a foreign field of this name",
                )
                return None
            return self._of_path(field, what, {"path": Entry(node, node)}, "path")
        entries = doc.entries(node, what, KEYS)
        given = [name for name in SOURCES if name in entries]
        if len(given) != 1:
            if isinstance(node, MappingNode):
                told = " and ".join(given) if given else "no source"
                doc.wrong(node, f"{what} has {told}: expected exactly one of {', '.join(SOURCES)}")
            return None
        if given[0] == "constant":
            self._only(what, "constant", entries, ("constant",))
            value = self._constant(field, what, entries["constant"].value)
            return None if value is _UNSET else lambda _item, _origin: value
        return self._of_hash(field, what, entries) if given[0] == "hash" else self._of_path(field, what, entries, given[0])

    def _only(self, what: str, source: str, entries: dict[str, Entry], fitting: tuple[str, ...]) -> None:
        for name in entries.keys() - set(fitting):
            self._doc.wrong(entries[name].key, f"{name} does not go with {source} in {what}: expected {', '.join(fitting)} only")

    def _of_path(self, field: Field, what: str, entries: dict[str, Entry], source: str) -> Read | None:
        get = self._getter(entries[source].value, _sum if source == "sum" else _first)
        if source == "sum" and (field.time or field.kind not in {"double", "float", "int", "long"}):
            self._doc.wrong(entries["sum"].key, f"sum makes a number, and {what} is none: expected path")
        self._fitting(field, what, entries)
        table = self._values(field, what, entries["values"].value) if "values" in entries else None
        otherwise, default = (
            self._constant(field, f"{name} of {what}", entries[name].value) if name in entries else _UNSET
            for name in ("otherwise", "default")
        )
        convert = self._converter(field, what, entries)
        prefix = self._prefix(what, entries)
        if default is _UNSET:
            default = MISSING if field.default is MISSING else ABSENT
        if get is None or convert is None:
            return None
        shown = _show_paths(entries[source].value)
        return _reader(f"{what} from {shown}", get, _with_prefix(convert, prefix, field), table, otherwise, default)

    def _getter(self, node: Node, of_several: Callable[[list[Getter]], Getter]) -> Getter | None:
        found = []
        for each in self._doc.listed(node, "paths"):
            text = self._doc.text(each, "a path")
            found.append(self._path(each, text) if text else None)
        getters = [get for get in found if get is not None]
        if len(getters) != len(found) or not getters:
            return None
        return getters[0] if len(getters) == 1 else of_several(getters)

    def _fitting(self, field: Field, what: str, entries: dict[str, Entry]) -> None:
        """Notes the keys that make no sense for this kind of field."""
        doc = self._doc
        for name in TIMES:
            if name in entries and not field.time:
                doc.wrong(entries[name].key, f"{name} is for times, and {what} is none: remove it")
        if "values" in entries and field.time:
            doc.wrong(entries["values"].key, f"values is not for times: remove it from {what}")
        if "unit" in entries and "values" in entries:
            doc.wrong(entries["unit"].key, f"unit does not go with values in {what}: write the values in the field's own unit")
        if "prefix" in entries and field.kind != "string":
            doc.wrong(entries["prefix"].key, f"prefix is for texts, and {what} is none: remove it")

    def _converter(self, field: Field, what: str, entries: dict[str, Entry]) -> Convert | None:
        if field.time:
            return self._time(what, entries)
        factor = Fraction(1)
        if "unit" in entries:
            known = units(field.name)
            node = entries["unit"].value
            if not known:
                self._doc.wrong(entries["unit"].key, f"{what} has no unit: remove unit")
                return None
            name = self._doc.choice(node, f"unit of {what}", list(known))
            if name is None:
                return None
            factor = known[name]
        return converter(field, factor)

    def _time(self, what: str, entries: dict[str, Entry]) -> Convert | None:
        doc, format_, zone, ambiguous = self._doc, None, None, "earlier"
        before = doc.sound
        if "format" in entries:
            node = entries["format"].value
            format_ = doc.text(node, f"format of {what}")
            if format_ is None:
                return None
            try:
                times.check(format_)
            except times.FormatError as error:
                doc.wrong(node, f"format of {what} is {format_!r}: {error}{nearest(format_, times.FORMATS)}")
                return None
        if "time_zone" in entries:
            node = entries["time_zone"].value
            zone = doc.text(node, f"time_zone of {what}")
            if zone is not None and zone not in times.zones():
                doc.wrong(
                    node, f"time_zone of {what} is {zone!r}: expected an IANA name such as Europe/Berlin{nearest(zone, times.zones())}"
                )
                return None
            if zone and format_ in times.EPOCHS:
                doc.wrong(entries["time_zone"].key, f"time_zone does not go with {format_} in {what}: epoch times are UTC; remove it")
            if zone and format_ and "%z" in format_:
                doc.wrong(entries["time_zone"].key, f"time_zone does not go with %z in {what}: the times carry their own; remove one")
        elif format_ and times.needs_zone(format_):
            doc.wrong(
                entries["format"].value, f"format of {what} gives local times: expected time_zone: beside it, such as Europe/Berlin, or UTC"
            )
            return None
        if "ambiguous" in entries:
            node = entries["ambiguous"].value
            ambiguous = doc.choice(node, f"ambiguous of {what}", times.AMBIGUOUS) or ambiguous
            if zone is None:
                doc.wrong(entries["ambiguous"].key, f"ambiguous goes with time_zone only, and {what} has none: remove it")
        return times.reader(format_, zone, ambiguous) if doc.sound or not before else None

    def _prefix(self, what: str, entries: dict[str, Entry]) -> str:
        node = entries["prefix"].value if "prefix" in entries else None
        return (self._doc.text(node, f"prefix of {what}") or "") if node is not None else ""

    def _of_hash(self, field: Field, what: str, entries: dict[str, Entry]) -> Read | None:
        if field.kind != "string":
            self._doc.wrong(entries["hash"].key, f"hash makes a text, and {what} is none: expected path or constant")
            return None
        self._only(what, "hash", entries, ("hash", "prefix"))
        getters = []
        for node in self._doc.listed(entries["hash"].value, "hash"):
            text = self._doc.text(node, "a path of hash")
            get = self._path(node, text) if text else None
            if get is None:
                return None
            getters.append(get)
        prefix = self._prefix(what, entries)
        name, shown = self._event.name, _show_paths(entries["hash"].value)

        def read(item: Any, origin: Origin) -> str:
            parts = [get(item, origin) for get in getters]
            if all(part is None for part in parts):
                raise Refused(f"{what}: none of {shown} is there: expected at least one of them")  # noqa: EM102, TRY003
            return prefix + digest(name, parts)

        return read

    def _values(self, field: Field, what: str, node: Node) -> dict[str, Any]:
        table: dict[str, Any] = {}
        for entry in self._doc.entries(node, f"values of {what}").values():
            if tag(entry.key) == "null":
                self._doc.wrong(entry.key, f"values of {what} has null: expected a value that is there; default: is for the others")
                continue
            key = literal(entry.key)
            if key is not None:
                table[key] = self._constant(field, f"a value of {what}", entry.value)
        return table

    def _constant(self, field: Field, what: str, node: Node) -> Any:
        """The canonical value that a scalar stands for; _UNSET where it is none of the field's, which is noted."""
        doc = self._doc
        if not isinstance(node, ScalarNode):
            doc.wrong(node, f"{what} is {kind(node)}: expected one value")
            return _UNSET
        value = scalar(node)
        if value is None:
            if field.nullable:
                return ABSENT  # null is the default of every field that may be null
            doc.wrong(node, f"{what} is null: expected a value; the field cannot be null")
            return _UNSET
        if field.symbols:
            found = doc.choice(node, what, field.symbols)
            return _UNSET if found is None else found
        try:
            if field.time:
                return value if type(value) is int else from_rfc3339(str(value))
            if field.kind == "string":
                value = str(node.value)
            elif isinstance(value, str):
                raise Wrong("true or false" if field.kind == "boolean" else "a number")  # noqa: TRY301
            return converter(field, Fraction(1))(value)
        except TimeError:
            doc.wrong(node, f"{what} is {kind(node)}: expected a time such as 2026-03-01T12:30:00Z, or epoch milliseconds")
        except Wrong as wrong:
            doc.wrong(node, f"{what} is {kind(node)}: expected {str(wrong).partition(';')[0]}")
        return _UNSET


def _first(getters: list[Getter]) -> Getter:
    def get(item: Any, origin: Origin) -> Any:
        for each in getters:
            value = each(item, origin)
            if value is not None:
                return value
        return None

    return get


def _sum(getters: list[Getter]) -> Getter:
    def get(item: Any, origin: Origin) -> Any:
        total: Any = None
        for each in getters:
            value = each(item, origin)
            if value is None:
                continue
            try:
                part = number(value)
            except Wrong:
                return value  # the field refuses it, and shows it
            if isinstance(part, Decimal) != isinstance(total, Decimal) and total is not None:
                part, total = float(part), float(total)
            total = part if total is None else total + part
        return total

    return get


def _with_prefix(convert: Convert, prefix: str, field: Field) -> Convert:
    if not prefix:
        return convert
    bare = converter(Field(field.name, 0, "string", False, -1, False, MISSING, (), type(field.constraints)({})), Fraction(1))
    return lambda value: convert(prefix + bare(value))


def _reader(what: str, get: Getter, convert: Convert, table: dict[str, Any] | None, otherwise: Any, default: Any) -> Read:
    """The order of the rules: absent → default; values, or conversion; otherwise for what neither takes."""

    def read(item: Any, origin: Origin) -> Any:
        value = get(item, origin)
        if value is None:
            if default is MISSING:
                raise Refused(f"{what} is not there, and the field has no default: give it one, or filter such records with when")  # noqa: EM102, TRY003
            return default
        try:
            if table is None:
                return convert(value)
            key = text_of(value)
            if key in table:
                return table[key]
            raise Wrong(f"one of {', '.join(table)}; add it to values:, or give otherwise:")  # noqa: EM102, TRY003, TRY301
        except Wrong as wrong:
            if otherwise is not _UNSET:
                return otherwise
            raise Refused(f"{what} is {show(value)}: expected {wrong}") from None  # noqa: EM102, TRY003

    return read


def digest(event: str, parts: list[Any]) -> str:
    """32 hex digits of a hash of the event's type and these values; the same for the same values, wherever and whenever."""
    # Numbers and texts hash alike where `when` and `values` hold them to be the same.
    told = [part if isinstance(part, dict | list) or part is None else text_of(part) or repr(part) for part in parts]
    return hashlib.sha256(json.dumps([event, *told], sort_keys=True, default=str).encode()).hexdigest()[:32]


def show(value: Any) -> str:
    """A foreign value for a message, cut."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except (ValueError, TypeError, RecursionError):
        text = f"a {type(value).__name__}"
    text = text.encode(errors="replace").decode()
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _show_paths(node: Node) -> str:
    return node.value if isinstance(node, ScalarNode) else ", ".join(str(each.value) for each in node.value)

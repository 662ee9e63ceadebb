"""A mapping file to a `Mapping`: everything in it is checked, and all errors come at once, each with line and column.

A `Bundle` is the file with the schemas that it names, as text: that is what travels to TaskManagers, which have no such files.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml.nodes import Node, ScalarNode, SequenceNode

from keepline.jobs.mapping import paths
from keepline.jobs.mapping.avropaths import Shape
from keepline.jobs.mapping.conditions import Condition, compile_when
from keepline.jobs.mapping.document import Document, Entry, MappingError, kind, nearest, scalar
from keepline.jobs.mapping.fields import FieldCompiler, Read
from keepline.jobs.mapping.readers import FORMATS, parse_schema
from keepline.jobs.mapping.source import Event, Source, UsedPath
from keepline.schemas.catalog import EVENT_TYPES, MISSING, EventType, Field
from keepline.schemas.cities import city_field
from keepline.schemas.topics import TOPIC

VERSION = 1
TOP = ("version", "unmatched", "sources")
SOURCE = ("topics", "files", "format", "schema", "delimiter", "fields", "events")
EVENT = ("type", "when", "each")
UNMATCHED = ("skip", "reject")
MOST_TOPICS = 255
_TYPES = {event.name: event for event in EVENT_TYPES}
ReadSchema = Callable[[str], str]


def fields_of(event: EventType) -> tuple[Field, ...]:
    """What a mapping may give an event: its fields, and `city` where it has a `city_hash`."""
    city = city_field(event)
    return event.fields if city is None else (*event.fields, city)


_FIELDS = sorted({each.name for event in EVENT_TYPES for each in fields_of(event)})


@dataclass(frozen=True, slots=True)
class Bundle:
    """A mapping as text: the file's name and content, and the schemas that it names."""

    name: str
    text: str
    schemas: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A sound mapping, ready to map."""

    bundle: Bundle
    sources: tuple[Source, ...]

    @property
    def topics(self) -> tuple[str, ...]:
        """All topics, in the order of the file."""
        return tuple(topic for source in self.sources for topic in source.topics)

    def of_topic(self, topic: str) -> Source:
        """The source that reads a topic; KeyError if none does."""
        for source in self.sources:
            if topic in source.topics:
                return source
        raise KeyError(topic)


def load(path: Path) -> Mapping:
    """The mapping of a file; MappingError with everything that is wrong with it."""
    schemas: dict[str, str] = {}

    def read_schema(name: str) -> str:
        schemas[name] = (path.parent / name).read_text(encoding="utf-8")
        return schemas[name]

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        msg = f"{path}: the mapping cannot be read: {reason}; check --mapping"
        raise MappingError(msg) from None
    return Mapping(Bundle(str(path), text, schemas), _Compiler(str(path), text, read_schema).sources())


def unpack(bundle: Bundle) -> Mapping:
    """The mapping of a bundle."""
    return Mapping(bundle, _Compiler(bundle.name, bundle.text, bundle.schemas.__getitem__).sources())


class _Compiler:
    def __init__(self, name: str, text: str, read_schema: ReadSchema) -> None:
        self._doc = Document(name, text)
        self._read_schema = read_schema
        self._topics: set[str] = set()

    def sources(self) -> tuple[Source, ...]:
        doc = self._doc
        top = doc.entries(doc.root, "the file", TOP)
        if "version" not in top:
            doc.wrong(doc.root, f"version is missing: expected version: {VERSION}")
        elif scalar(top["version"].value) != VERSION:
            doc.wrong(top["version"].value, f"version is {kind(top['version'].value)}: expected {VERSION}")
        reject = "unmatched" in top and doc.choice(top["unmatched"].value, "unmatched", UNMATCHED) == "reject"
        found: list[Source] = []
        if "sources" not in top:
            doc.wrong(doc.root, "sources is missing: expected a list, each with topics or files, and events")
        elif not isinstance(top["sources"].value, SequenceNode) or not top["sources"].value.value:
            doc.wrong(top["sources"].value, f"sources is {kind(top['sources'].value)}: expected a list (lines with -) of at least one")
        else:
            found = [self._source(node, reject) for node in top["sources"].value.value]
        if len(self._topics) > MOST_TOPICS:
            doc.wrong(doc.root, f"the sources have {len(self._topics)} topics: expected at most {MOST_TOPICS}; run several ingest jobs")
        doc.finish()
        return tuple(found)

    def _source(self, node: Node, reject: bool) -> Source:
        doc = self._doc
        entries = doc.entries(node, "a source", SOURCE)
        topics = self._names(entries, "topics")
        files = self._names(entries, "files")
        if not topics and not files and not {"topics", "files"} & entries.keys():
            doc.wrong(node, "the source has no topics and no files: expected one of them, such as topics: [cdr.voice]")
        format_ = self._format(entries, node, topics)
        schemas = self._schemas(entries, node, format_)
        delimiter = ","
        if "delimiter" in entries:
            delimiter = doc.text(entries["delimiter"].value, "delimiter") or ","
            if len(delimiter) != 1:
                doc.wrong(entries["delimiter"].value, f"delimiter is {delimiter!r}: expected one character")
        shape = Shape(list(schemas)) if schemas else None
        shared = doc.entries(entries["fields"].value, "fields", _FIELDS) if "fields" in entries else {}
        events = self._events(entries, node, shared, shape)
        return Source(doc.place(node), topics, files, format_, schemas, events, reject, delimiter)

    def _names(self, entries: dict[str, Entry], what: str) -> tuple[str, ...]:
        doc, found = self._doc, []
        for node in doc.listed(entries[what].value, what) if what in entries else []:
            name = doc.text(node, f"one of {what}")
            if name is None:
                continue
            if what == "topics" and not TOPIC.fullmatch(name):
                doc.wrong(node, f"{name!r} is no topic: expected letters, digits, dots, dashes or underscores")
            elif what == "topics" and name in self._topics:
                doc.wrong(node, f"the topic {name} comes twice: expected it in one source; put its events together")
            else:
                found.append(name)
                if what == "topics":
                    self._topics.add(name)
        return tuple(found)

    def _format(self, entries: dict[str, Entry], node: Node, topics: tuple[str, ...]) -> str:
        if "format" in entries:
            return self._doc.choice(entries["format"].value, "format", FORMATS) or "json"
        if topics:
            self._doc.wrong(node, f"the source has topics and no format: expected format: one of {', '.join(FORMATS)}")
        return "json"

    def _schemas(self, entries: dict[str, Entry], node: Node, format_: str) -> tuple[dict[str, Any], ...]:
        doc = self._doc
        if "schema" not in entries:
            if format_ == "avro" and "format" in entries:
                doc.wrong(node, "format avro needs its schema: expected schema: FILE.avsc (a list where there are several)")
            return ()
        if format_ != "avro":
            doc.wrong(entries["schema"].key, f"schema goes with format: avro only, and this is {format_}: remove it, or correct the format")
            return ()
        found = []
        for each in doc.listed(entries["schema"].value, "schema"):
            name = doc.text(each, "a schema")
            if name is None:
                continue
            try:
                found.append(parse_schema(json.loads(self._read_schema(name))))
            except OSError as error:
                doc.wrong(each, f"{name} cannot be read: {error.strerror}; expected a path relative to the mapping file")
            except Exception as error:  # noqa: BLE001  fastavro raises whatever a wrong schema ends in
                doc.wrong(each, f"{name} is no Avro schema: {type(error).__name__}: {str(error)[:120]}; expected a record in JSON")
        return tuple(found)

    def _events(self, entries: dict[str, Entry], node: Node, shared: dict[str, Entry], shape: Shape | None) -> tuple[Event, ...]:
        doc = self._doc
        if "events" not in entries:
            doc.wrong(node, "the source has no events: expected a list, each with type: and fields")
            return ()
        listed = entries["events"].value
        if not isinstance(listed, SequenceNode) or not listed.value:
            doc.wrong(listed, f"events is {kind(listed)}: expected a list (lines with -) of at least one")
            return ()
        used: set[str] = set()
        found = [event for each in listed.value if (event := self._event(each, shared, shape, used)) is not None]
        for name in shared.keys() - used:
            doc.wrong(shared[name].key, f"none of the source's events has the field {name}: remove it")
        return tuple(found)

    def _event(self, node: Node, shared: dict[str, Entry], shape: Shape | None, used: set[str]) -> Event | None:
        doc = self._doc
        entries = doc.entries(node, "an event")
        if not entries:
            return None
        type_ = self._type(entries, node)
        if type_ is None:
            used |= shared.keys()  # whether its fields fit cannot be said
            return None
        names = [each.name for each in fields_of(type_)]
        for name in entries.keys() - {*EVENT, *names}:
            near = nearest(name, [*names, *EVENT])
            doc.wrong(
                entries[name].key, f"{type_.name} has no field {name!r}{near}; expected {', '.join(EVENT)}, or one of {', '.join(names)}"
            )
        record = _Paths(doc, shape, whole=True)
        item, each, each_text = record, None, ""
        if "each" in entries:
            each_text = doc.text(entries["each"].value, "each") or ""
            each = record.compile(entries["each"].value, each_text) if each_text else None
            item = _Paths(doc, shape, whole=False)
            item.shape = record.items(entries["each"].value, each_text) if shape is not None and each is not None else None
        when: Condition | None = compile_when(doc, entries["when"].value, item.compile) if "when" in entries else None
        fields: list[tuple[str, Read]] = []
        root = _Paths(doc, shape, whole=True, based=True)
        for wanted in fields_of(type_):
            own = wanted.name in entries
            if wanted.name in shared:
                used.add(wanted.name)
            if own or wanted.name in shared:
                entry = entries[wanted.name] if own else shared[wanted.name]
                chosen = item if own else root
                chosen.what = f"{type_.name}.{wanted.name}"
                read = FieldCompiler(doc, type_, chosen.compile).compile(wanted, entry.value)
                if read is not None:
                    fields.append((wanted.name, read))
            elif wanted.default is MISSING:
                doc.wrong(
                    entries["type"].value, f"{type_.name} needs {wanted.name}: expected {wanted.name}: here, or in the source's fields:"
                )
        found = [*item.used, *root.used]
        return Event(doc.place(node), type_.name, when, each, each_text, tuple(fields), tuple(found))

    def _type(self, entries: dict[str, Entry], node: Node) -> EventType | None:
        if "type" not in entries:
            self._doc.wrong(node, f"the event has no type: expected type: one of {', '.join(_TYPES)}")
            return None
        name = self._doc.choice(entries["type"].value, "type", list(_TYPES))
        return _TYPES[name] if name else None


class _Paths:
    """Compiles the paths of one event and notes them. With `based`, plain paths are of the whole record: they stand in `fields:`."""

    def __init__(self, doc: Document, shape: Shape | None, *, whole: bool, based: bool = False) -> None:
        self._doc, self._root, self._based = doc, shape, based
        self.shape = shape if whole else None
        self.what = "when"
        self.used: list[UsedPath] = []

    def compile(self, node: Node, text: str) -> paths.Getter | None:
        """As `fields.GetPath`."""
        try:
            path = paths.parse(text)
        except paths.PathError as error:
            self._doc.wrong(node, str(error))
            return None
        if self._based and not path.base:
            path = path._replace(base="$record")
        shape = self._root if path.base == "$record" else self.shape if not path.base else None
        if shape is not None:
            found = shape.follow(path.steps)
            if isinstance(found, str):
                self._doc.wrong(node, f"{text!r}: {found}")
                return None
        get = paths.getter(path)
        if isinstance(node, ScalarNode) and not path.base.startswith(paths.PLACES):
            self.used.append(UsedPath(self._doc.place(node), self.what, text, get))
        return get

    def items(self, node: Node, text: str) -> Shape | None:
        """What the list at a path holds, by the schema."""
        found = self._root.follow(paths.parse(text).steps) if self._root else None
        held = found.items() if isinstance(found, Shape) else None
        if held is None:
            self._doc.wrong(node, f"{text!r} is no list by the schema: expected the path of an array")
        return held

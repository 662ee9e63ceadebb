"""A dry run: what a mapping makes of some records of each topic or file. Nothing is written, no group is joined, no Flink is started."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keepline.jobs.mapping.files import chosen, read_rows
from keepline.jobs.mapping.frames import reader
from keepline.jobs.mapping.load import Mapping, load
from keepline.jobs.mapping.paths import Origin
from keepline.jobs.mapping.readers import Schemas
from keepline.jobs.mapping.source import Source
from keepline.jobs.pseudonyms import Pseudonyms
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.records import to_record

if TYPE_CHECKING:
    from keepline.jobs.ingest_settings import IngestSettings

SECONDS = 10.0
"""How long a topic may take to hand over its samples."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One foreign record and what became of it: events, none (skipped), or the reason and message of a dead letter."""

    partition: int
    offset: int
    record: Any
    events: list[dict[str, Any]] = field(default_factory=list)
    rejected: dict[str, str] | None = None


@dataclass(slots=True)
class Report:
    """The samples of one topic or file, and their sums."""

    name: str
    place: str
    samples: list[Sample] = field(default_factory=list)
    events: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    never: list[str] = field(default_factory=list)
    """Paths that none of the records has: a slip, or a field that few records carry."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "name": self.name,
            "mapping": self.place,
            "read": len(self.samples),
            "events": dict(self.events),
            "skipped": self.skipped,
            "rejected": dict(self.rejected),
            "paths_never_there": self.never,
            "samples": [
                {"partition": one.partition, "offset": one.offset, "record": one.record, "events": one.events}
                | ({"rejected": one.rejected} if one.rejected else {})
                for one in self.samples
            ],
        }


def report(name: str, source: Source, records: Iterable[tuple[Origin, bytes, Any]], pseudonyms: Pseudonyms | None = None) -> Report:
    """Maps records (or what they were rejected for already) and sums up; with `pseudonyms` the events are shown as they would be sent."""
    found = Report(name, source.name)
    missing = {(path.place, path.what, path.text): path for event in source.events for path in event.paths}
    for origin, raw, record in records:
        shown = raw.decode(errors="replace") if isinstance(record, Rejected) else record
        made = record if isinstance(record, Rejected) else source.map(record, origin, pseudonyms.city if pseudonyms else None)
        if pseudonyms and not isinstance(made, Rejected):
            made = pseudonyms.events(made)
        if isinstance(made, Rejected):
            found.rejected[made.reason.name] += 1
            told = {"reason": made.reason.name, "message": made.message}
            found.samples.append(Sample(origin.partition, origin.offset, shown, rejected=told))
        else:
            events = [_as_dict(one) for one in made]
            found.events.update(event["type"] for event in events)
            found.skipped += not events
            found.samples.append(Sample(origin.partition, origin.offset, shown, events))
        if isinstance(record, dict):
            _strike_out(missing, source, record, origin._replace(record=record))
    if found.samples:
        found.never = [f"{place}: {what}: {text}" for place, what, text in missing]
    return found


def _strike_out(missing: dict[tuple[str, str, str], Any], source: Source, record: dict[str, Any], origin: Origin) -> None:
    """Takes out the paths that this record has."""
    for event in source.events:
        items = [record, *(item for item in (event.each(record, origin) or [] if event.each else []))] if missing else []
        for path in event.paths:
            key = (path.place, path.what, path.text)
            if key in missing and any(path.get(item, origin) is not None for item in items):
                del missing[key]


def _as_dict(event: Ok) -> dict[str, Any]:
    name, fields = to_record(event.value)
    return {"type": name} | fields


def of_files(paths: Sequence[Path], mapping: Mapping, samples: int, pseudonyms: Pseudonyms | None = None) -> list[Report]:
    """The first records of each file."""

    def some(path: Path, name: str, delimiter: str) -> Iterator[tuple[Origin, bytes, Any]]:
        for count, (number, raw, record) in enumerate(read_rows(path, delimiter), 1):
            yield Origin(name, 0, number), raw, record
            if count == samples:
                return

    return [
        report(file.name, source, some(file.path, file.name, source.csv_delimiter), pseudonyms) for file, source in chosen(paths, mapping)
    ]


def of_topics(settings: IngestSettings, samples: int, *, oldest: bool = False) -> list[Report]:
    """The newest (or oldest) records of each topic of the job's mapping."""
    mapping = load(settings.mapping)
    registry = _registry(settings)
    found = []
    for topic in mapping.topics:
        source = mapping.of_topic(topic)
        read = reader(source, registry)
        records = list(_taken(settings, topic, samples, oldest=oldest))
        found.append(report(topic, source, ((origin, value, read(value) if value else {}) for origin, value in records)))
    return found


def _registry(settings: IngestSettings) -> Schemas | None:
    if not settings.registry_url:
        return None
    from keepline.schemas.registry import Registry

    return Registry(settings.registry_url, settings.registry)


def _taken(settings: IngestSettings, topic: str, samples: int, *, oldest: bool) -> Iterator[tuple[Origin, bytes]]:
    """(origin, value) of the samples, oldest first."""
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka import KafkaError as ClientError

    from keepline.jobs.kafka_client import KafkaError, client, of_job, partitions, properties
    from keepline.jobs.kafka_client import reader as configured

    consumer = client(Consumer, configured(settings.bootstrap_servers, properties(of_job(settings.kafka, None))))
    try:
        left = {}
        for number in partitions(consumer, settings.bootstrap_servers, topic):
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, number), SECONDS)
            if high > low:
                left[number] = (low if oldest else max(low, high - samples), high)
        consumer.assign([TopicPartition(topic, number, begin) for number, (begin, _) in left.items()])
        found: list[tuple[int, Origin, bytes]] = []
        taken: Counter[int] = Counter()
        while left:
            arrived = consumer.consume(samples, SECONDS)
            if not arrived:
                break
            for message in arrived:
                trouble, number = message.error(), message.partition()
                if trouble is not None and trouble.code() != ClientError._PARTITION_EOF:
                    msg = f"topic {topic!r} at {settings.bootstrap_servers}: {trouble.str()}"
                    raise KafkaError(msg)
                if number not in left:
                    continue
                if trouble is None:
                    key = message.key()
                    when = message.timestamp()[1]
                    origin = Origin(topic, number, message.offset(), when, None if key is None else key.decode(errors="replace"))
                    found.append((when, origin, message.value() or b""))
                    taken[number] += 1
                if trouble is not None or message.offset() + 1 >= left[number][1] or taken[number] >= samples:
                    del left[number]
        found.sort(key=lambda one: (one[0], one[1].partition, one[1].offset))
        for _, origin, value in found[:samples] if oldest else found[-samples:]:
            yield origin, value
    finally:
        consumer.close()

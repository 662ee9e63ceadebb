"""One packed source record to output frames: channel 0 canonical events, channel 1 dead letters.

What the ingest job runs for each record, without Flink: a function of the record's bytes, the mapping and the registry.
"""

from __future__ import annotations

from keepline.jobs.mapping.load import Bundle, Mapping, unpack
from keepline.jobs.mapping.paths import Origin
from keepline.jobs.mapping.readers import Read, Schemas, avro_reader, confluent_reader, read_json
from keepline.jobs.mapping.source import Source
from keepline.schemas import packed
from keepline.schemas.encode import Ok, Rejected
from keepline.schemas.errors import KeeplineError
from keepline.schemas.records import from_record
from keepline.schemas.status import Reason

EVENTS, DEAD_LETTERS = range(2)
_NULL_KEY, _OVERSIZED = packed.NULL_KEY_FLAG, packed.OVERSIZED_FLAG


class RegistryMissingError(KeeplineError):
    """A source of format avro-confluent, and no registry to ask."""


class TopicMapper:
    """Maps the values of foreign topics. A record is Ok events (none: skipped) or Rejected, never an exception.

    Only a registry that does not answer raises: then nothing is known of the record, and the job has to come back to it.
    """

    def __init__(self, mapping: Mapping, registry: Schemas | None = None) -> None:
        """RegistryMissingError if the mapping needs one."""
        self.topics = mapping.topics
        self._sources: dict[str, tuple[Source, Read]] = {}
        for source in mapping.sources:
            read = reader(source, registry)
            for topic in source.topics:
                self._sources[topic] = (source, read)

    def map(self, value: bytes, origin: Origin) -> list[Ok] | Rejected:
        """The events of one value; what is empty (a tombstone) is no event, as what no filter takes."""
        source, read = self._sources[origin.topic]
        record = read(value) if value or source.reject_unmatched else {}
        return record if isinstance(record, Rejected) else source.map(record, origin) if value else []


def reader(source: Source, registry: Schemas | None) -> Read:
    """Reads the values of a source's topics."""
    if source.format == "json":
        return read_json
    if source.format == "avro":
        return avro_reader(source.schemas)
    if registry is None:
        msg = f"{source.name}: format avro-confluent needs the schema registry: expected --registry-url, such as http://localhost:8081"
        raise RegistryMissingError(msg)
    return confluent_reader(registry)


class Ingest:
    """The job's work on one record: packed in, frames out."""

    def __init__(self, bundle: Bundle, registry: Schemas | None) -> None:
        self._mapper = TopicMapper(unpack(bundle), registry)
        self._topics = self._mapper.topics

    def frames(self, record: bytes) -> list[bytes]:
        """The frames of one PACKED_IN record."""
        found = packed.unpack_record(record)
        topic = self._topics[found.topic]
        key = None if found.flags & _NULL_KEY else found.key
        if found.flags & _OVERSIZED:
            told: list[Ok] | Rejected = Rejected(
                Reason.OVERSIZED, f"the value has {found.value_length} bytes: expected at most {packed.MAX_VALUE}; split such records"
            )
        else:
            origin = Origin(topic, found.partition, found.offset, found.timestamp, None if key is None else key.decode(errors="replace"))
            told = self._mapper.map(found.value, origin)
        # Where the producer sends no created_ms, Kafka's timestamp says when the record was made.
        created = found.created_ms or max(found.timestamp, 0)
        if not isinstance(told, Rejected):
            return [
                packed.pack_frame(packed.Frame(EVENTS, 0, one.event_time, created, one.customer_id.encode(), one.value)) for one in told
            ]
        letter = {
            "topic": topic,
            "partition": found.partition,
            "offset": found.offset,
            "timestamp": found.timestamp,
            "key": key or b"",
            "value": found.value,
            "value_length": found.value_length,
            "value_sha256": found.value_sha256,
            "reason": told.reason.name,
            "message": told.message,
        }
        return [packed.pack_frame(packed.Frame(DEAD_LETTERS, 0, 0, created, key or b"", from_record("DeadLetter", letter)))]

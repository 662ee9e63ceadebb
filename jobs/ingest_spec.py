"""From the settings of the ingest job to what its function is told. What cannot work is refused here, without Flink or Kafka."""

from __future__ import annotations

from keepline.jobs.ingest_settings import IngestSettings
from keepline.jobs.mapping.frames import TopicMapper
from keepline.jobs.mapping.load import load
from keepline.jobs.mapping.spec import IngestSpec
from keepline.schemas.errors import KeeplineError


class IngestError(KeeplineError):
    """An ingest job that cannot be begun as asked."""


def ingest_spec(settings: IngestSettings) -> IngestSpec:
    """The spec, with the mapping's text and schemas in it. KeeplineError for a mapping, topics or a registry that cannot be used."""
    mapping = load(settings.mapping)
    if not mapping.topics:
        msg = f"{settings.mapping}: no source has topics: expected topics: [cdr.voice] or the like; `keepline produce` reads files"
        raise IngestError(msg)
    both = {settings.topic, settings.dead_letters} & set(mapping.topics)
    if both:
        msg = f"{settings.mapping}: the topic {min(both)} is read and written: expected another --topic or --dead-letters"
        raise IngestError(msg)
    spec = IngestSpec(mapping.bundle, mapping.topics, settings.registry_url, settings.registry, settings.unknown_id_ttl)
    TopicMapper(mapping, spec.schemas())  # refuses a format that needs a registry where there is none
    return spec

"""From the settings of the next-app job to what its operator is told: the same for the live job and for replay."""

from __future__ import annotations

from keepline.features.next_app import layout
from keepline.features.spec import FeatureError
from keepline.jobs.next_app_settings import NextAppSettings
from keepline.jobs.writer_schemas import writer_schemas
from keepline.models.next_app import manifest
from keepline.operators.spec import NEXT_APP, OperatorSpec


def next_app_spec(settings: NextAppSettings) -> OperatorSpec:
    """The spec, with the model's manifest in it. Raises here, at submit, for what cannot be used."""
    if layout.KEPT_LAYOUT.read_text(encoding="utf-8") != layout.dumps():
        msg = (
            f"The layout of {layout.NAME!r} is not the one that {layout.KEPT_LAYOUT.name} keeps for state version {layout.STATE_VERSION}: "
            "stored states would be misread. "
            "Restore features/next_app/layout.py, or give the new layout a new state version and a migration."
        )
        raise FeatureError(msg)
    if settings.registry_url:
        from keepline.schemas.registry import Registry

        Registry(settings.registry_url, settings.registry).close()  # refuses properties that it does not take; asks nothing
    return OperatorSpec(
        feature_sets=NEXT_APP,
        next_app=manifest.load(settings.model).manifest.model_dump(mode="json"),
        apps=settings.apps,
        answer_within_ms=settings.answer_within,
        topics=settings.topics,
        bound_ms=settings.disorder,
        writer_schemas=tuple(writer_schemas(settings.writer_schemas)),
        registry_url=settings.registry_url,
        registry=settings.registry,
        unknown_id_ms=settings.unknown_id_ttl,
    )

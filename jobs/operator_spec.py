"""From settings to what the customer operator is told: the same for the live job and for replay."""

from __future__ import annotations

import json
from pathlib import Path

from keepline.features import layouts
from keepline.features.sets import feature_set
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.writer_schemas import writer_schemas
from keepline.models.contact.carried import to_json
from keepline.models.contact.document import load as load_policy
from keepline.models.contact.names import names_of
from keepline.models.manifest import MANIFEST_FILE, load
from keepline.operators.spec import OperatorSpec
from keepline.schemas.programs import compile_programs


def operator_spec(settings: RetentionSettings) -> OperatorSpec:
    """The spec, with the model's manifest and the policy in it. Raises here, at submit, for any of them that cannot be used."""
    layouts.check(feature_set("churn"))
    if settings.registry_url:
        from keepline.schemas.registry import Registry

        Registry(settings.registry_url, settings.registry).close()  # refuses properties that it does not take; asks nothing
    model = load(settings.model, feature_set("churn"))
    compile_programs(currency=settings.currency)  # refuses a currency that is none
    path = Path(settings.model)
    manifest = json.loads((path / MANIFEST_FILE if path.is_dir() else path).read_bytes())
    return OperatorSpec(
        manifest=manifest,
        topics=settings.topics,
        emit=settings.emit,
        delta=settings.delta,
        policy={} if settings.policy == "none" else to_json(load_policy(settings.policy, names_of(model))),
        bound_ms=settings.disorder,
        currency=settings.currency,
        writer_schemas=tuple(writer_schemas(settings.writer_schemas)),
        registry_url=settings.registry_url,
        registry=settings.registry,
        unknown_id_ms=settings.unknown_id_ttl,
    )

"""From settings to what the customer operator is told: the same for the live job and for replay."""

from __future__ import annotations

from keepline.features import layouts
from keepline.features.sets import feature_set
from keepline.jobs import job_models
from keepline.jobs.settings import RetentionSettings
from keepline.jobs.writer_schemas import writer_schemas
from keepline.models.contact.carried import to_json
from keepline.models.contact.document import load as load_policy
from keepline.operators.spec import OperatorSpec
from keepline.schemas.programs import compile_programs


def operator_spec(settings: RetentionSettings) -> OperatorSpec:
    """The spec, with the models' manifests and the policy in it. Raises here, at submit, for any of them that cannot be used."""
    for name in settings.scores:
        layouts.check(feature_set(name))
    if settings.registry_url:
        from keepline.schemas.registry import Registry

        Registry(settings.registry_url, settings.registry).close()  # refuses properties that it does not take; asks nothing
    models = job_models.load(settings)
    compile_programs(currency=settings.currency)  # refuses a currency that is none
    return OperatorSpec(
        manifest=models.churn,
        clv=models.clv,
        clv_regression=models.clv_regression,
        feature_sets=settings.scores,
        topics=settings.topics,
        emit=settings.emit,
        delta=settings.delta,
        policy={} if settings.policy == "none" else to_json(load_policy(settings.policy, models.names)),
        bound_ms=settings.disorder,
        currency=settings.currency,
        writer_schemas=tuple(writer_schemas(settings.writer_schemas)),
        registry_url=settings.registry_url,
        registry=settings.registry,
        unknown_id_ms=settings.unknown_id_ttl,
    )

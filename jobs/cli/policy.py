"""`keepline policy check | show | schema`: the contact policy's file, for those who write it and those who approve it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keepline.jobs.job_models import JobModels

OfScores = Annotated[str | None, typer.Option("--scores", help="What the job scores: churn, clv, or churn,clv. [default: churn]")]
OfModel = Annotated[Path | None, typer.Option("--model", help="Folder or manifest of the churn model. [default: the committed one]")]
OfValue = Annotated[Path | None, typer.Option("--clv-model", help="Folder or manifest of `keepline clv fit`. [default: the committed one]")]
OfAmount = Annotated[
    str | None, typer.Option("--clv-regression", help="Folder or manifest of `keepline train clv`, or none. [default: none]")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def check(
    file: Annotated[Path, typer.Argument(help="The policy file (YAML).")],
    scores: OfScores = None,
    model: OfModel = None,
    clv_model: OfValue = None,
    clv_regression: OfAmount = None,
    as_json: AsJson = False,
) -> None:
    """Check a policy file: all errors at once, as file:line:column: what, expected, what to do.

    Example: keepline policy check policy.yaml
      keepline policy check policy.yaml --scores churn,clv --clv-model models/clv
    """
    import json

    from keepline.models.contact.document import load
    from keepline.models.contact.values import PolicyError

    used, _ = _models(scores, model, clv_model, clv_regression)
    names = [name for name, _ in used.labels]
    versions = [version for _, version in used.labels]
    one = len(names) == 1
    told = {"file": str(file), "model": names[0] if one else names, "model_version": versions[0] if one else versions}
    try:
        policy = load(file, used.names)
    except PolicyError as error:
        if as_json:
            typer.echo(json.dumps({**told, "sound": False, "errors": [problem._asdict() for problem in error.problems]}))
        raise
    counts = {"triggers": len(policy.triggers), "offers": len(policy.offers)}
    if as_json:
        typer.echo(json.dumps({**told, "sound": True, "errors": [], "policy": policy.name, "version": policy.version, **counts}))
        return
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    models = " and ".join(f"{name} version {version}" for name, version in used.labels)
    typer.echo(f"{file}: sound: policy {policy.name} version {policy.version}, {parts}, for model {models}")


def show(
    file: Annotated[Path | None, typer.Argument(help="The policy file (YAML). [default: the committed one for the scores]")] = None,
    scores: OfScores = None,
    model: OfModel = None,
    clv_model: OfValue = None,
    clv_regression: OfAmount = None,
    as_json: AsJson = False,
) -> None:
    """Print a policy in plain words: triggers by priority, offers with their conditions, and all that holds a contact back.

    Example: keepline policy show policy.yaml
    """
    import json

    from keepline.models.contact.carried import to_json
    from keepline.models.contact.document import load
    from keepline.models.contact.show import show as words

    used, committed = _models(scores, model, clv_model, clv_regression)
    policy = load(file or committed, used.names)
    if as_json:
        typer.echo(json.dumps({name: value for name, value in to_json(policy).items() if name != "source"}, ensure_ascii=False))
    else:
        typer.echo(words(policy), nl=False)


def schema() -> None:
    """Print the JSON Schema of policy files, for editors.

    Example: keepline policy schema > policy.schema.json
    """
    from keepline.features.sets import feature_set
    from keepline.models.contact.editors import text

    typer.echo(text((*feature_set("churn").names, *feature_set("clv").names)), nl=False)


def _models(scores: str | None, model: Path | None, clv_model: Path | None, clv_regression: str | None) -> tuple[JobModels, Path]:
    """The models that a job with these flags has, whatever settings there are here, and the committed policy for its scores."""
    from keepline.jobs import job_models, settings

    flags = {"scores": scores, "model": model, "clv_model": clv_model, "clv_regression": clv_regression}
    given = settings.load(flags, {}, Path(os.devnull))
    return job_models.load(given), Path(given.policy)

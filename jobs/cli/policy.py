"""`keepline policy check | show | schema`: the contact policy's file, for those who write it and those who approve it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from keepline.models.manifest import Model

OfModel = Annotated[Path | None, typer.Option("--model", help="Folder or manifest of the model it is for. [default: the committed one]")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def check(file: Annotated[Path, typer.Argument(help="The policy file (YAML).")], model: OfModel = None, as_json: AsJson = False) -> None:
    """Check a policy file: all errors at once, as file:line:column: what, expected, what to do.

    Example: keepline policy check policy.yaml
    """
    import json

    from keepline.models.contact.document import load
    from keepline.models.contact.names import names_of
    from keepline.models.contact.values import PolicyError

    used = _model(model)
    told = {"file": str(file), "model": used.model_id, "model_version": used.version}
    try:
        policy = load(file, names_of(used))
    except PolicyError as error:
        if as_json:
            typer.echo(json.dumps({**told, "sound": False, "errors": [problem._asdict() for problem in error.problems]}))
        raise
    counts = {"triggers": len(policy.triggers), "offers": len(policy.offers)}
    if as_json:
        typer.echo(json.dumps({**told, "sound": True, "errors": [], "policy": policy.name, "version": policy.version, **counts}))
        return
    parts = ", ".join(f"{count} {name}" for name, count in counts.items())
    typer.echo(f"{file}: sound: policy {policy.name} version {policy.version}, {parts}, for model {used.model_id} version {used.version}")


def show(
    file: Annotated[Path | None, typer.Argument(help="The policy file (YAML). [default: the committed one]")] = None,
    model: OfModel = None,
    as_json: AsJson = False,
) -> None:
    """Print a policy in plain words: triggers by priority, offers with their conditions, and all that holds a contact back.

    Example: keepline policy show policy.yaml
    """
    import json

    from keepline.models.contact.carried import to_json
    from keepline.models.contact.document import DEFAULT, load
    from keepline.models.contact.names import names_of
    from keepline.models.contact.show import show as words

    policy = load(file or DEFAULT, names_of(_model(model)))
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

    typer.echo(text(feature_set("churn").names), nl=False)


def _model(path: Path | None) -> Model:
    from keepline.features.sets import feature_set
    from keepline.jobs.settings import PRETRAINED
    from keepline.models.manifest import load

    return load(path or PRETRAINED, feature_set("churn"))

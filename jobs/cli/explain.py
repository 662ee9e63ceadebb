"""`keepline explain`: why a customer did or did not get an offer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explain(
    customer: Annotated[str, typer.Argument(help="The customer_id.")],
    redis_url: Annotated[str | None, typer.Option(help="The live view: the newest decision. [default: redis://localhost:6379/0]")] = None,
    replayed: Annotated[Path | None, typer.Option(help="Instead of Redis: a folder that `keepline replay` wrote. All decisions.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Instead of Redis: a file of decisions, as `keepline tail retention.decisions` prints them.")
    ] = None,
    policy: Annotated[Path | None, typer.Option(help="Contact policy, a YAML file. [default: the committed one]")] = None,
    model: Annotated[Path | None, typer.Option(help="Folder or manifest of a model. [default: the committed one]")] = None,
    config: Annotated[Path | None, typer.Option(help="Settings file. [default: keepline.toml, where there is one]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Tell why a customer did or did not get an offer: what fired, what was decided, why, and what would have to change.

    Redis holds the newest decision of each customer, files hold all of them. Give the policy that decided: it adds its limits and names.

    Ends with 0 where something is known of the customer, with 1 where nothing is.

    Example: keepline explain c-1001
      keepline explain c-1001 --replayed replayed/
    """
    import json

    from keepline.jobs import explain as work
    from keepline.jobs import job_models, settings
    from keepline.jobs.cli.progress import counted
    from keepline.models.contact.document import load as load_policy

    if sum(each is not None for each in (redis_url, replayed, decisions)) > 1:
        message = "--redis-url, --replayed and --decisions: expected one of them"
        raise typer.BadParameter(message)
    job = settings.load({"redis_url": redis_url, "policy": policy, "model": model}, config=config)
    rules = load_policy(job.policy, job_models.load(job).names)
    with counted("reading decisions", quiet=as_json) as progress:
        if replayed is not None:
            seen = work.from_folder(replayed, customer, progress)
        elif decisions is not None:
            seen = work.from_file(decisions, customer, progress)
        elif job.redis_url:
            seen = work.from_redis(job.redis_url, customer)
        else:
            message = 'redis_url is "": there is no view to ask; give --redis-url, --replayed or --decisions'
            raise typer.BadParameter(message)
    if as_json:
        typer.echo(json.dumps(work.as_json(seen, rules), ensure_ascii=False))
    else:
        typer.echo(work.as_text(seen, rules), nl=False)
    if not seen.known:
        raise typer.Exit(1)

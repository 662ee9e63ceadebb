"""Puts the commands together. Help is plain text: what draws boxes takes longer to import than all else, and eats square brackets."""

from __future__ import annotations

from collections.abc import Callable
from inspect import cleandoc
from typing import Annotated

import typer

from keepline.jobs.cli import (
    clv,
    clv_labels,
    conf,
    demo,
    doctor,
    errors,
    explain,
    export,
    features,
    ingest,
    layout,
    mapping,
    next_app,
    next_app_export,
    next_app_sync,
    outcomes,
    policy,
    predict,
    produce,
    pseudonym,
    rebuild_view,
    redrive,
    replay,
    run,
    run_next_app,
    schemas,
    status,
    stop,
    submit,
    tail,
    train,
    uplift,
)

# \b keeps the lines of a paragraph as they are: an example is there to be copied.
EXAMPLE = "\b\nExample:\n  "
HELP = f"""Real-time customer retention on Apache Flink: features, scores and interventions from the telemetry in Kafka.

{EXAMPLE}keepline doctor
  keepline demo"""

app = typer.Typer(
    name="keepline",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _group(name: str, text: str) -> typer.Typer:
    group = typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)
    app.add_typer(group, name=name)
    return group


def _add(group: typer.Typer, name: str, command: Callable[..., None], short: str) -> None:
    text = cleandoc(command.__doc__ or "").replace("Example: ", EXAMPLE)
    group.command(name, help=text, short_help=short)(command)


_add(app, "doctor", doctor.doctor, "Is all here that the jobs need?")
_add(app, "demo", demo.demo, "The whole job on real components; begin here.")
_run = _group("run", "Run a job: keepline run retention --help")
_add(_run, "retention", run.retention, "Score customers as their events arrive.")
_add(_run, "next-app", run_next_app.next_app, "Foretell the next app at each unlock.")
_add(_run, "ingest", ingest.ingest, "Map foreign topics to canonical events.")
_submit = _group("submit", "Send a job to a Flink cluster: keepline submit retention --help")
_add(_submit, "retention", submit.submit_retention, "Score customers as their events arrive.")
_add(_submit, "next-app", submit.submit_next_app, "Foretell the next app at each unlock.")
_add(_submit, "ingest", submit.submit_ingest, "Map foreign topics to canonical events.")
_add(app, "conf", conf.conf, "Print Flink's config.yaml for a purpose.")
_add(app, "status", status.status, "The jobs of a Flink cluster.")
_add(app, "savepoint", stop.savepoint, "Save a job's state, and let it go on.")
_add(app, "stop", stop.stop, "Stop a job with a savepoint.")
_restore = _group("restore", "Start a job from a savepoint, with new settings or code: keepline restore retention --help")
_add(_restore, "retention", submit.restore_retention, "The retention job, from where it was.")
_add(_restore, "next-app", submit.restore_next_app, "The next-app job, from where it was.")
_add(_restore, "ingest", submit.restore_ingest, "The ingest job, from where it was.")
_train = _group("train", "Train a model: keepline train churn --help")
_add(_train, "churn", train.train, "Train and validate a churn model.")
_add(_train, "clv", train.clv, "Train and validate a regression of customer lifetime value.")
_add(_train, "next-app", train.next_app, "Train and validate a model of the next app.")
_clv = _group("clv", "Customer lifetime value from purchases: keepline clv fit --help")
_add(_clv, "fit", clv.fit, "Fit BG/NBD and Gamma-Gamma to purchases.")
_add(_clv, "report", clv.report, "What a model expected and what came, as one HTML page.")
_add(_clv, "labels", clv_labels.labels, "What customers spent in a horizon, as labels to train on.")
_add(app, "predict", predict.predict, "Score a file of features with a trained model.")
_next_app = _group("next-app", "Which app a user opens next: keepline next-app evaluate --help")
_add(_next_app, "evaluate", next_app.evaluate, "Hit rates of rankers on a log of app opens.")
_add(_next_app, "export", next_app_export.export, "A profile and a model for a phone without a network.")
_add(_next_app, "sync", next_app_sync.sync, "A phone's buffered events into the topics.")
_mapping = _group("mapping", "The file that maps foreign records: keepline mapping check --help")
_add(_mapping, "check", mapping.check, "Everything that is wrong with a mapping file.")
_add(_mapping, "schema", mapping.schema, "The JSON Schema of mapping files, for editors.")
_policy = _group("policy", "The file that says who is contacted with what: keepline policy check --help")
_add(_policy, "check", policy.check, "Everything that is wrong with a policy file.")
_add(_policy, "show", policy.show, "A policy in plain words.")
_add(_policy, "schema", policy.schema, "The JSON Schema of policy files, for editors.")
_add(app, "produce", produce.produce, "Send event files to Kafka.")
_add(app, "pseudonym", pseudonym.pseudonym, "What a customer or city is called in pseudonymised topics.")
_add(app, "tail", tail.tail, "Print a topic's committed records as JSON Lines.")
_add(app, "redrive", redrive.redrive, "Send repaired dead letters back.")
_add(app, "rebuild-view", rebuild_view.rebuild_view, "Fill Redis from the topics, after it lost its data.")
_add(app, "explain", explain.explain, "Why a customer did or did not get an offer.")
_add(app, "export", export.export, "All that is held of a customer, in one file.")
_outcomes = _group("outcomes", "What became of the decisions: keepline outcomes export --help")
_add(_outcomes, "export", outcomes.export, "The labelled decisions as Parquet, and as training rows.")
_add(_outcomes, "erase", outcomes.erase, "Remove a customer from exported files.")
_add(app, "uplift", uplift.uplift, "What the contacts changed, against the control group.")
_add(_group("schemas", "Topics and records: keepline schemas export --help"), "export", schemas.export, "Write AsyncAPI and JSON Schemas.")
_features = _group("features", "Training rows from event files, and what a state holds: keepline features churn --help")
_add(_features, "churn", features.churn, "The churn features of customers at given moments.")
_add(_features, "clv", features.clv, "The customer lifetime value features of customers at given moments.")
_add(_features, "layout", layout.layout, "Where a feature set's numbers lie in the state.")
_replay = _group("replay", "Run a job over files, without Flink or Kafka: keepline replay retention --help")
_add(_replay, "retention", replay.retention, "The retention job's output from event files.")
_add(_replay, "next-app", replay.next_app, "The next-app job's output from event files.")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("keepline"))
        raise typer.Exit


def options(
    _version_: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """What stands before the command."""


app.callback(help=HELP)(options)


def main() -> None:
    """The console script."""
    errors.run(app, "keepline")


if __name__ == "__main__":
    main()

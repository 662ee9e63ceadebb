"""Flags that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer

FlinkUrl = Annotated[
    str, typer.Option("--flink-url", envvar="KEEPLINE_FLINK_URL", help="The JobManager's REST interface.", show_default=True)
]
FLINK_URL = "http://localhost:8081"
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
JobName = Annotated[str, typer.Argument(metavar="JOB", help="The job's name, or the first characters of its id.")]


def with_settings_of(command: Callable[..., None], without: Collection[str] = ()) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a function `f(own parameters, **flags)` the flags of another command as well, its own winning."""

    def extend(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters.values()
        named = {each.name for each in own} | set(without)
        theirs = [each for each in inspect.signature(command, eval_str=True).parameters.values() if each.name not in named]
        mine = [each for each in own if each.kind is not inspect.Parameter.VAR_KEYWORD]

        def both(**given: Any) -> None:
            function(**given)

        both.__doc__, both.__name__ = function.__doc__, function.__name__
        parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*mine, *theirs)]
        both.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return both

    return extend

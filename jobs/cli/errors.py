"""How a command ends: 0, 1 for a finding (`--strict`, `doctor`), 2 with one line `error: …` for what a user can put right.

A traceback is left for faults of Keepline itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, cast

import typer

USAGE = 2
INTERRUPTED = 130
ClickException = cast(type[Exception], typer.BadParameter.__mro__[2])
"""The base of what Typer raises for wrong flags; Typer has no public name for it."""


def run_alone(command: Callable[..., None]) -> NoReturn:
    """Runs one command as the whole program, as scripts do that are not started through `keepline`."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command()(command)
    run(app)


def run(app: typer.Typer, name: str | None = None) -> NoReturn:
    """Runs a program (by this name in its messages) and exits with its code."""
    code: Any = 0
    try:
        code = app(prog_name=name, standalone_mode=False)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        text = _of_user(error)
        if text is None:
            raise
        # No arguments at all: the text is the help.
        typer.echo(text if text.startswith("Usage:") else f"error: {text}", err=True)
        code = USAGE
    _flush()
    sys.exit(code or 0)


def _of_user(error: Exception) -> str | None:
    """What to tell a user; None where the fault is not theirs."""
    from keepline.schemas.errors import KeeplineError

    if isinstance(error, KeeplineError):
        return str(error)
    if isinstance(error, ClickException):
        context = getattr(error, "ctx", None)
        hint = f"; see `{context.command_path} --help`" if context is not None else ""
        text = str(error.format_message())  # type: ignore[attr-defined]
        return text if text.startswith("Usage:") else text.rstrip(".") + hint
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def _flush() -> None:
    """Whoever read our output may be gone (`| head`); that is no error to speak of, at exit neither."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

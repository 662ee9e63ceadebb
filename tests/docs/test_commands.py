"""Every `keepline …` that a page shows is a command that exists, with options that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup
from typer.exceptions import TyperException

from keepline.jobs.cli.main import app
from keepline.jobs.stack.java import ROOT
from tests.docs.pages import PAGES, blocks, command_lines, inline_commands

COMMANDS = typer.main.get_command(app)


def parse(arguments: list[str], *, whole: bool) -> None:
    """Raises typer's error where a command or option is unknown or, in a whole command line, something is missing."""
    command: Any = COMMANDS
    context: Any = None
    while isinstance(command, TyperGroup):
        context = command.context_class(command, parent=context, info_name=command.name)
        if not arguments or arguments[0] in ("-h", "--help", "--version"):
            return
        found = command.get_command(context, arguments[0])
        if found is None:
            msg = f"there is no command {arguments[0]!r} in {command.name}: {', '.join(command.list_commands(context))}"
            raise typer.BadParameter(msg)
        command, arguments = found, arguments[1:]
    if "--help" in arguments or "-h" in arguments:
        return
    parser = command.make_parser(command.context_class(command, parent=context, info_name=command.name))
    given = [argument for argument in arguments if argument not in ("…", "...")]
    if (
        not whole
        and given
        and given[-1].startswith("--")
        and given[-1] in {o for p in command.params for o in p.opts if not getattr(p, "is_flag", False)}
    ):
        given.append("1")  # in running text an option may stand without its value
    values, rest, _ = parser.parse_args(given)
    if rest:
        msg = f"unexpected {rest}"
        raise typer.BadParameter(msg)
    if whole and "…" not in arguments:
        missing = [p.name for p in command.params if p.required and not values.get(p.name or "")]
        if missing:
            msg = f"missing {missing}"
            raise typer.BadParameter(msg)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_exist(page: Path) -> None:
    wrong = []
    shown = [(line, text, True) for block in blocks(page) for line, text in command_lines(block)]
    shown += [(line, text, False) for line, text in inline_commands(page)]
    for line, text, whole in shown:
        # CAPITALS stand for a value, a|b for a choice of commands, [..] for what may be left out.
        for variant in _choices(re.sub(r"\[(.*?)\]", r"\1", text)):
            try:
                parse(shlex.split(variant), whole=whole)
            except (TyperException, ValueError) as error:
                wrong.append(f"{page.relative_to(ROOT)}:{line}: keepline {text}: {error}")
    assert not wrong, "\n".join(wrong)


def _choices(text: str) -> list[str]:
    words = text.split()
    if words and re.fullmatch(r"[a-z-]+(\|[a-z-]+)+", words[0]):
        return [" ".join([choice, *words[1:]]) for choice in words[0].split("|")]
    found = re.match(r"((?:[a-z-]+ \| )+[a-z-]+) ?(.*)", text)
    return [f"{choice} {found.group(2)}" for choice in found.group(1).split(" | ")] if found else [text]


def test_the_check_sees_mistakes() -> None:
    with pytest.raises(TyperException):
        parse(["produce", "--evnts"], whole=False)
    for mistake in ("prodce --events x", "produce --evnts x", "run retntion", "tail", "produce --events x stray"):
        with pytest.raises(TyperException):
            parse(shlex.split(mistake), whole=True)

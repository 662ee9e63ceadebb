"""Blocks of the pages that say so are run in order, and the documented output compared; a page with edits runs on a copy of the sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keepline.jobs.settings import load
from keepline.jobs.stack.java import ROOT
from tests.docs.pages import PAGES, Block, blocks

COPIED = ("schemas", "features", "models", "operators", "jobs", "keepline", "tests", "flink-conf", "docs", "pyproject.toml", "README.md")
RUN = [page for page in PAGES if any(block.info.endswith(" run") for block in blocks(page))]


def lay_out(folder: Path, *, edits: bool) -> None:
    """What a page finds in its folder. A page with edits gets copies of all; else code stays a link, so that what is compiled serves."""
    ignored = shutil.ignore_patterns("__pycache__", "target", "savepoints")
    for name in COPIED:
        if not edits and name != "docs":
            (folder / name).symlink_to(ROOT / name)
        elif (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)


def run(block: Block, command: list[str], folder: Path, text: str | None = None) -> str:
    """Runs one command in the folder; if it holds copies, they come before the installed packages."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KEEPLINE_", "PYTEST_"))}
    jar = ROOT / "operators" / "jvm" / "target" / "keepline-operators.jar"
    environment |= {"PATH": path, "KEEPLINE_JAR": str(jar), "COLUMNS": "120"}
    if not (folder / "jobs").is_symlink():
        environment["PYTHONPATH"] = str(folder)
    done = subprocess.run(command, cwd=folder, env=environment, input=text, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{block.where} ended with {done.returncode}:\n{block.text}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def apply(block: Block, folder: Path) -> None:
    """An edit, hunk by hunk: the lines before it must be there exactly once."""
    target: Path | None = None
    for piece in re.split(r"^(?=@@|--- )", block.text, flags=re.MULTILINE):
        if piece.startswith("--- "):
            target = folder / piece.splitlines()[0].removeprefix("--- ").strip()
        elif piece.startswith("@@"):
            assert target is not None, block.where
            lines = piece.splitlines()[1:]
            before = "".join(line[1:] + "\n" for line in lines if line[:1] in (" ", "-"))
            after = "".join(line[1:] + "\n" for line in lines if line[:1] in (" ", "+"))
            found = target.read_text(encoding="utf-8")
            assert found.count(before) == 1, f"{block.where}: {target.name} has {found.count(before)} places like\n{before}"
            target.write_text(found.replace(before, after), encoding="utf-8")


def same(shown: str, printed: str) -> bool:
    pattern = r"[\s\S]*".join(re.escape(part.strip()) for part in shown.split("…"))
    return re.fullmatch(pattern, printed.strip()) is not None


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", RUN, ids=lambda page: page.name)
def test_page(page: Path, tmp_path: Path) -> None:
    printed, content = "", list(blocks(page))
    lay_out(tmp_path, edits=any(block.info == "diff apply" for block in content))
    for block in content:
        if block.info == "sh run":
            printed = run(block, ["bash", "-euo", "pipefail"], tmp_path, block.text)
        elif block.info == "python run":
            printed = run(block, [sys.executable, "-c", block.text], tmp_path)
        elif block.info == "diff apply":
            apply(block, tmp_path)
        elif block.info == "text output":
            assert same(block.text, printed), f"{block.where} shows\n{block.text}\nbut it was\n{printed}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_load(page: Path, tmp_path: Path) -> None:
    for number, block in enumerate(blocks(page)):
        if block.info == "toml settings":
            file = tmp_path / f"{number}.toml"
            file.write_text(block.text, encoding="utf-8")
            load({}, {}, file)


def test_comparison() -> None:
    assert same("a …\nlast", "a b\nc\nlast\n")
    assert not same("a …\nlast", "b\nlast")

"""The pages for people, taken apart: fenced blocks, and what their info strings ask for.

A block runs where its info string says so; the blocks of a page share one folder and run in order:

    sh run            commands (bash; the first that fails ends the test)
    python run        a program of its own
    diff apply        an edit of a copy of the repository, hunk by hunk: the lines around it say where
    text output       what the block before printed; "…" stands for anything
    toml settings     a keepline.toml that must load
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt

from keepline.jobs.stack.java import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    line: int
    info: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type in {"fence", "code_block"} and token.map:
            yield Block(page, token.map[0] + 1, token.info.strip(), token.content)


def command_lines(block: Block) -> Iterator[tuple[int, str]]:
    """Whole `keepline …` lines of a block (line number, text), continuation lines joined, comments and redirections gone."""
    joined = block.text.replace("\\\n", "  ")
    for line in joined.splitlines():
        found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?keepline (.*)", line)
        if found:
            text = re.sub(r"\s+#.*|\s+\d?[<>|].*|\s+&.*", "", found.group(1))
            yield block.line + 1 + block.text[: max(block.text.find(line[:20]), 0)].count("\n"), text


def inline_commands(page: Path) -> Iterator[tuple[int, str]]:
    """`keepline …` in running text and tables."""
    fenced = False
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        if not fenced:
            for found in re.finditer(r"`(?:\.venv/bin/)?keepline ([^`]+)`", line):
                yield number, found.group(1)

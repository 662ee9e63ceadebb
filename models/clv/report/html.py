"""Elements of a page, always closed, text always escaped.

>>> element("p", "a < b", class_="note")
Markup('<p class="note">a &lt; b</p>')
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


class Markup(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Markup({super().__repr__()})"


def element(tag: str, *inside: str, **attributes: str) -> Markup:
    """`<tag …>inside</tag>`; an attribute's trailing `_` falls away, an inner one is a hyphen."""
    named = "".join(f' {name.rstrip("_").replace("_", "-")}="{html.escape(value)}"' for name, value in attributes.items())
    return Markup(f"<{tag}{named}>{join(inside)}</{tag}>")


def join(parts: Iterable[str], between: str = "") -> Markup:
    """Parts one after the other."""
    return Markup(between.join(part if isinstance(part, Markup) else html.escape(part, quote=False) for part in parts))


def table(label: str, headings: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> Markup:
    """A table that scrolls by itself where the screen is narrow. The first `texts` columns are text, the others numbers."""

    def line(tag: str, cells: Sequence[str]) -> Markup:
        kinds = ["text" if place < texts else "number" for place in range(len(cells))]
        return element("tr", *(element(tag, cell, class_=kind) for cell, kind in zip(cells, kinds, strict=True)))

    head = element("thead", line("th", headings))
    body = element("tbody", *(line("td", row) for row in rows))
    return element("div", element("table", head, body), class_="scroll", role="region", aria_label=label, tabindex="0")


def figure(svg: str, heading: str, *text: str) -> Markup:
    """A plot with what it shows."""
    return element("figure", Markup(svg), element("figcaption", element("strong", heading + ". "), *text))

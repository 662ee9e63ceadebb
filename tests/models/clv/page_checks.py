"""What must hold of every report page, whatever is on it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """A page taken apart. Fails where a tag is not closed, or closed out of turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: dict[str, list[str]] = {}
        self.cells: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> at {self.getpos()}"

    def handle_data(self, data: str) -> None:
        if self.open:
            self.words.setdefault(self.open[-1], []).append(data)
            if self.open[-1] in ("td", "th"):
                self.cells[-1].append(data)

    def text(self, *tags: str) -> str:
        """The text of these tags, or of all that is read."""
        wanted = tags or [tag for tag in self.words if tag not in ("style", "script")]
        return " ".join(word for tag in wanted for word in self.words.get(tag, []))

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.tags)


def check(text: str) -> Page:
    """Whole, self-contained, for phones, with headings and alternative texts, and without a NaN anywhere."""
    page = Page(text)
    assert text.startswith("<!DOCTYPE html>\n")
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in page.tags
    assert page.count("h1") == 1
    assert page.count("h2") == 6
    assert page.count("title") >= 1
    _loads_nothing(page, text)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = set(re.findall(r"url\(#([^)]*)\)", text)) | {str(a["href"])[1:] for _, a in page.tags if "href" in a}
    assert named <= set(ids)
    assert page.count("svg") == page.count("figure") == page.count("figcaption")
    for tag, attributes in page.tags:
        if tag == "svg":
            assert attributes["role"] == "img"
            assert "viewbox" in attributes
            assert not {"width", "height"} & set(attributes)
            assert set(str(attributes["aria-labelledby"]).split()) <= set(ids)
    assert all(title.strip() for title in page.words["title"])
    assert page.count("table") == sum(attributes.get("class") == "scroll" for _, attributes in page.tags)
    assert not re.search(r"\b(nan|inf|infinity)\b", text, re.IGNORECASE)
    assert "None" not in text
    return page


def _loads_nothing(page: Page, text: str) -> None:
    assert not {"script", "link", "img", "iframe", "object", "base", "image"} & {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        assert not {"src", "srcset", "data", "style-src", "action"} & set(attributes), tag
        for name, value in attributes.items():
            if name.endswith("href"):
                assert str(value).startswith("#"), value
            assert "http" not in str(value), value
    assert not re.search(r"@import|url\((?!#)|javascript:|\son\w+=", text)

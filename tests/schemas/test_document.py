"""The document under mapping and policy files: errors as text and as data, and names that may be meant."""

from __future__ import annotations

import pickle

import pytest

from keepline.schemas.document import Document, DocumentError, Problem, closest, nearest
from keepline.schemas.errors import KeeplineError


class OwnError(DocumentError):
    pass


class Own(Document):
    error = OwnError
    called = "a list of wishes"
    empty = "expected a wish"
    merge = "wish for it twice"
    brackets = "no brackets"


def test_errors_are_of_the_document_s_own_class_and_words() -> None:
    with pytest.raises(OwnError) as error:
        Own("w.yaml", "")
    assert (str(error.value), error.value.problems) == (
        "w.yaml:1:1: the file is empty: expected a wish",
        (Problem(1, 1, "the file is empty: expected a wish"),),
    )
    with pytest.raises(OwnError, match=r"w.yaml: the file has .* characters: expected at most .*; a list of wishes is written by hand"):
        Own("w.yaml", "x" * (1 << 21))
    with pytest.raises(OwnError, match=r"w.yaml:1:\d+: not YAML: .*; no brackets"):
        Own("w.yaml", "{a: b[0]}")
    doc = Own("w.yaml", "a: 1\n<<: {b: 2}\n")
    assert (doc.sound, doc.noted) == (True, 0)
    doc.entries(doc.root, "it")
    assert (doc.sound, doc.noted) == (False, 1)
    with pytest.raises(OwnError) as merged:
        doc.finish()
    assert merged.value.problems == (Problem(2, 1, "<< is not merged here: wish for it twice"),)
    assert str(merged.value) == "w.yaml:2:1: << is not merged here: wish for it twice"
    assert isinstance(merged.value, KeeplineError)


def test_problems_are_sorted_once_and_all_there_though_the_text_stops() -> None:
    doc = Own("w.yaml", "\n".join(f"k{i}: 1" for i in range(60)))
    entries = doc.entries(doc.root, "it")
    for name in reversed(entries):
        doc.wrong(entries[name].key, "no")
        doc.wrong(entries[name].key, "no")
    with pytest.raises(OwnError) as error:
        doc.finish()
    assert error.value.problems == tuple(Problem(i + 1, 1, "no") for i in range(60))
    lines = str(error.value).splitlines()
    assert (len(lines), lines[49], lines[50]) == (51, "w.yaml:50:1: no", "w.yaml: and 10 more")
    again = pickle.loads(pickle.dumps(error.value))
    assert (str(again), again.problems) == (str(error.value), error.value.problems)


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("SMS", ["SMS", "PUSH"], "SMS"),
        ("sms", ["PUSH", "SMS"], "SMS"),
        ("thresold", ["threshold"], "threshold"),
        ("x", ["PUSH"], None),
        (None, ["none"], "none"),
    ],
)
def test_names_that_may_be_meant(name: object, known: list[str], meant: str | None) -> None:
    assert closest(name, iter(known)) == meant
    assert nearest(name, iter(known)) == (f"; did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(
    ("text", "word"), [("-.inf", "-inf"), (".nan", "nan"), ("1.50", "1.5"), ("16.0", "16"), ("0016", "0016"), ("True", "true"), ("~", None)]
)
def test_keys_of_any_kind_are_words(text: str, word: str | None) -> None:
    doc = Own("w.yaml", f"{text}: 1")
    assert list(doc.entries(doc.root, "it")) == [word or "null"]
    assert doc.sound

"""What is offered at the cursor of a half-written query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.query import MODEL_FIELDS, RUN_FIELDS, complete

KNOWN = {"metrics": ("auc", "a b", "accuracy"), "params": ("lr",), "tags": ("team",), "alias": ("champion",)}


def known(scope, prefix):
    return [name for name in KNOWN[scope] if name.startswith(prefix)]


def offered(text, fields=RUN_FIELDS, cursor=None):
    at = len(text) if cursor is None else cursor
    return [text[: each.start] + each.text for each in complete(text, at, fields, known)]


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("", ["status", "metrics.", "has:"]),
        ("st", ["status", "started"]),
        ("metrics.", ["metrics.auc", "metrics.`a b`"]),
        ("metrics.au", ["metrics.auc"]),
        ("status ", ["status =", "status in", "status not in"]),
        ("metrics.auc ", ["metrics.auc >"]),
        ("status = f", ["status = finished", "status = failed"]),
        ("status = ", ["status = running"]),
        ("status in (failed, l", ["status in (failed, lost"]),
        ("created > ", ["created > 7d"]),
        ("deleted = ", ["deleted = true"]),
        ("status = failed ", ["status = failed and", "status = failed order by"]),
        ("status = failed and par", ["status = failed and parent", "status = failed and params."]),
        ("has:metrics.a", ["has:metrics.auc"]),
        ("order by metrics.a", ["order by metrics.auc"]),
        ("order by name ", ["order by name desc"]),
        ("a order ", ["a order by"]),
        ("dataset.", ["dataset.digest"]),
    ],
)
def test_the_next_piece_is_offered(text, some):
    found = offered(text)
    assert [each for each in some if each not in found] == []


def test_a_text_is_not_offered_what_only_numbers_know():
    assert "status >" not in offered("status ")
    assert "metrics.auc ~" not in offered("metrics.auc ")


def test_aliases_of_models_are_offered():
    assert offered("alias.ch", MODEL_FIELDS) == ["alias.champion"]


def test_what_stands_behind_the_cursor_is_left_alone():
    text = "sta and metrics.auc > 0.7"
    found = complete(text, 3, RUN_FIELDS, known)
    assert [(each.text, each.start, each.end) for each in found][:1] == [("status", 0, 3)]


@given(st.text(max_size=30), st.data())
def test_any_cursor_in_any_text_is_answered(text, data):
    cursor = data.draw(st.integers(0, len(text)))
    for each in complete(text, cursor, RUN_FIELDS, known):
        assert 0 <= each.start <= each.end == cursor

"""Text and tree are two spellings of one thing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from backends.query import RUN_FIELDS, And, Compare, Has, In, Key, Not, Or, Query, QueryError, Text, parse, to_text
from tests.unit.queries import queries


@given(queries)
def test_a_tree_written_down_is_read_back(query):
    assert parse(to_text(query), RUN_FIELDS) == query


names = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)


@given(names, names)
def test_any_name_and_any_value_can_be_said(name, value):
    nodes = (
        Compare(Key("param", name), "=", value),
        In(Key("tag", name), (value,), negated=True),
        Has(Key("metric", name)),
        Text(value),
        Not(Or((Text(value), Compare(Key("metric", name), ">", 1.5)))),
    )
    query = Query(And(nodes))
    assert parse(to_text(query), RUN_FIELDS) == query


def read(text):
    """The query and no error, or no query and the error."""
    try:
        return parse(text, RUN_FIELDS, now=1_800_000_000_000), None
    except QueryError as error:
        return None, error


def holds_together(text):
    query, error = read(text)
    if error is None:
        assert parse(to_text(query), RUN_FIELDS) == query
    else:
        assert 0 <= error.position <= len(text)
        assert len(str(error).splitlines()) == 3


@given(st.text())
def test_any_text_is_a_query_or_an_error_with_a_place_in_it(text):
    holds_together(text)


WORDS = "status metrics. metrics.auc has: has:metrics. a and or not in like is null order by desc 0.5 created 7d"
fragments = st.lists(st.sampled_from((*WORDS.split(), *"()=,.:'`~", "!=", '"x y"')), max_size=12)


@given(fragments, st.sampled_from((" ", "")))
def test_any_heap_of_fragments_is_a_query_or_an_error(pieces, gap):
    holds_together(gap.join(pieces))

"""Random queries and random runs over a small world, so that they often meet."""

from __future__ import annotations

import math

from hypothesis import strategies as st

from backends.entities import DatasetInput, Run, RunStatus
from backends.query import And, Compare, Has, In, Key, Not, Or, Order, Query, Text

NAMES = ("flights-hgb", "flights-rf", "churn", "Churn 50%", "a_b", "x*y?[z]", "ab", "it's", "", "100", "Ünïcode")
VALUES = ("0.1", "0.10", "8", "-3", "1e2", "hgb", "HGB", "", "a%b", "[x]", "true", " 7 ", "nan", "inf", "two words")
KEYS = ("auc", "lr", "a b", "it`s", "x.y/z", "in")
NOTES = ("", "best so far", "Flights again", "50% off\nsecond line")
FLOATS = (0.0, 0.1, 0.5, 0.75, 1.0, -3.0, 7.0, 8.0, 100.0, math.inf, -math.inf)
TIMES = (1_700_000_000_000, 1_700_000_000_250, 1_700_000_010_000, 1_700_086_400_000)
SECONDS = (0.0, 0.25, 10.0, 86_400.0, 9.75)
USERS = ("user1@host", "user2@host", "")
EXPERIMENTS = ("default", "flights", "Sweep 1")
DATASETS = (
    DatasetInput(dataset="flights", version="1", digest="d1"),
    DatasetInput(dataset="flights", version="2", digest="d2", context="test"),
    DatasetInput(dataset="churn", version="1", digest="d3"),
)
WORDS = ("fl", "FL", "flights", "chu", "50%", "hgb", "a", "0.1", "words", "best", "zzz", "ïco", "second", "xy")

_texts = {
    "id": ("0" * 32, "1" * 32),
    "name": NAMES,
    "status": tuple(status.value for status in RunStatus),
    "experiment": EXPERIMENTS,
    "user": USERS,
    "parent": ("", "0" * 32),
    "engine": ("local", "ray"),
    "note": NOTES,
}
_times = ("created", "started", "ended")


def _textual(key, values, extra=()):
    pieces = st.sampled_from(values).map(lambda text: text[1:4] or text)
    patterns = st.sampled_from((*values, "%a%", "_", "%", "f%s%", "%[%", "%b", "100%"))
    return st.one_of(
        st.builds(Compare, st.just(key), st.sampled_from(("=", "!=")), st.sampled_from((*values, *extra))),
        st.builds(Compare, st.just(key), st.sampled_from(("~", "!~")), st.one_of(pieces, st.sampled_from(WORDS))),
        st.builds(Compare, st.just(key), st.sampled_from(("like", "ilike")), patterns),
        st.builds(
            In,
            st.just(key),
            st.lists(st.sampled_from((*values, *extra)), min_size=1, max_size=4).map(tuple),
            st.booleans(),
        ),
        st.just(Has(key)),
    )


def _numeric(key, values, several=True):
    ordered = st.sampled_from(("=", "!=", "<", "<=", ">", ">="))
    one = st.builds(Compare, st.just(key), ordered, st.sampled_from(values))
    several_of = st.lists(st.sampled_from(values), min_size=1, max_size=4).map(tuple)
    among = st.builds(In, st.just(key), several_of, st.booleans())
    return st.one_of(one, among, st.just(Has(key))) if several else st.one_of(one, st.just(Has(key)))


def _figures(scope):
    finite = tuple(value for value in FLOATS if math.isfinite(value))
    return st.sampled_from(KEYS).flatmap(
        lambda name: st.one_of(_textual(Key(scope, name), VALUES, finite), _numeric(Key(scope, name), finite))
    )


def _dataset():
    names = {
        "name": ("flights", "churn"),
        "version": ("1", "2"),
        "digest": ("d1", "d2"),
        "context": ("training", "test"),
    }
    refs = _textual(Key("dataset", "ref"), ("flights@1", "flights@2", "churn@1", "none@1"))
    return st.one_of(refs, *(_textual(Key("dataset", name), values) for name, values in names.items()))


conditions = st.one_of(
    *(_textual(Key("attribute", name), values) for name, values in _texts.items()),
    *(_numeric(Key("attribute", name), TIMES, several=False) for name in _times),
    _numeric(Key("attribute", "duration"), SECONDS),
    st.builds(Compare, st.just(Key("attribute", "deleted")), st.sampled_from(("=", "!=")), st.booleans()),
    st.just(Has(Key("attribute", "deleted"))),
    st.sampled_from(KEYS).flatmap(lambda name: _numeric(Key("metric", name), FLOATS)),
    _figures("param"),
    _figures("tag"),
    _dataset(),
    st.builds(Text, st.sampled_from(WORDS)),
)


def _flat(kind, parts):
    flat = [inner for part in parts for inner in (part.nodes if isinstance(part, kind) else (part,))]
    return kind(tuple(flat))


nodes = st.recursive(
    conditions,
    lambda inner: st.one_of(
        inner.map(Not),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(And, parts)),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _flat(Or, parts)),
    ),
    max_leaves=6,
)

_sortable = st.one_of(
    st.sampled_from((*_texts, *_times, "duration", "deleted")).map(lambda name: Key("attribute", name)),
    st.builds(Key, st.sampled_from(("metric", "param", "tag")), st.sampled_from(KEYS)),
)
orders = st.lists(st.builds(Order, _sortable, st.booleans()), max_size=3, unique_by=lambda order: order.key).map(tuple)
queries = st.builds(Query, st.one_of(st.none(), nodes), orders)


@st.composite
def runs(draw, count=st.integers(0, 25)):
    """Different runs, as a store would give them."""
    return [draw(_run(number)) for number in range(draw(count))]


def _run(number):
    pairs = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=4)
    metrics = st.dictionaries(st.sampled_from(KEYS), st.sampled_from((*FLOATS, math.nan)), max_size=4)
    return st.builds(
        Run,
        id=st.just(f"{number:x}" * 32 if number < 16 else f"{number:032x}"),
        name=st.sampled_from(NAMES[:8]),
        experiment=st.sampled_from(EXPERIMENTS),
        status=st.sampled_from(RunStatus),
        created_at=st.sampled_from(TIMES),
        created_by=st.sampled_from(USERS[:2]),
        started_at=st.sampled_from((None, *TIMES)),
        ended_at=st.sampled_from((None, *TIMES)),
        params=pairs,
        metrics=metrics,
        tags=pairs,
        inputs=st.lists(st.sampled_from(DATASETS), max_size=2, unique=True).map(tuple),
        parent=st.sampled_from(("", "0" * 32)),
        engine=st.sampled_from(("local", "ray")),
        deleted_at=st.sampled_from((None, None, TIMES[0])),
        note=st.sampled_from(NOTES),
    )

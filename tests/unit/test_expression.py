"""Expressions over columns: what they give, beside pandas and plain Python; what is wrong with one, and where."""

from __future__ import annotations

import contextlib
import datetime
import math
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.contract import Invalid
from backends.entities import Column, ColumnType
from console.data.expression import FUNCTIONS, ExpressionError, parse_expression

COLUMNS = [
    Column(name="delay", type=ColumnType.FLOAT),
    Column(name="n", type=ColumnType.INT),
    Column(name="carrier", type=ColumnType.STRING),
    Column(name="late", type=ColumnType.BOOL),
    Column(name="at", type=ColumnType.DATETIME),
    Column(name="day", type=ColumnType.DATE),
    Column(name="odd name", type=ColumnType.INT),
    Column(name="nested", type=ColumnType.OTHER),
]


def moment(*parts: int) -> datetime.datetime:
    return datetime.datetime(*parts)  # type: ignore[arg-type]


ROWS: dict[str, list[Any]] = {
    "delay": [1.5, -7.25, None, math.nan, 1e6, 0.0],
    "n": [7, -7, None, 0, 3, 2],
    "carrier": ["AA", "ua", None, "", "A'A", "Ünïted "],
    "late": [True, False, None, True, False, True],
    "at": [
        moment(2013, 1, 31, 23, 59),
        moment(2012, 2, 29),
        None,
        moment(1969, 12, 31, 12),
        moment(2013, 7, 1, 1),
        None,
    ],
    "day": [datetime.date(2013, 1, 31), None, datetime.date(2012, 2, 29), datetime.date(1970, 1, 1), None, None],
    "odd name": [1, 2, 3, 4, 5, 6],
    "nested": [[1], None, [], [2], [3], [4]],
}
BATCH = pa.RecordBatch.from_pydict(ROWS)
FRAME = pd.DataFrame({name: values for name, values in ROWS.items() if name not in ("nested",)})


def values(text: str) -> list[Any]:
    expression = parse_expression(text, COLUMNS)
    found = expression.evaluate(BATCH)
    assert len(found) == BATCH.num_rows
    return list(found.to_pylist())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("n + 1", [8, -6, None, 1, 4, 3]),
        ("n // 2", [3, -4, None, 0, 1, 1]),
        ("n % 3", [1, 2, None, 0, 0, 2]),
        ("n % -3", [-2, -1, None, 0, 0, -1]),
        ("n / 2", [3.5, -3.5, None, 0.0, 1.5, 1.0]),
        ("6 / n", [6 / 7, -6 / 7, None, None, 2.0, 3.0]),
        ("6 // n", [0, -1, None, None, 2, 3]),
        ("delay // 2", [0.0, -4.0, None, None, 500000.0, 0.0]),
        ("-n ** 2", [-49.0, -49.0, None, -0.0, -9.0, -4.0]),
        ("2 ** -1 * n", [3.5, -3.5, None, 0.0, 1.5, 1.0]),
        ("delay > 0", [True, False, None, None, True, False]),
        ("delay > 0 or n = 7 or late", [True, False, None, True, True, True]),
        ("delay > 0 and late", [True, False, None, None, False, False]),
        ("not late", [False, True, None, False, True, False]),
        ("delay is null", [False, False, True, True, False, False]),
        ("not delay is null and n is not null", [True, True, False, False, True, True]),
        ("nested is null", [False, True, False, False, False, False]),
        ("carrier in ('AA', 'A''A')", [True, False, None, False, True, False]),
        ("carrier not in ('AA')", [False, True, None, True, True, True]),
        ("n in (7, 3.0)", [True, False, None, False, True, False]),
        ("n between -7 and 2", [False, True, None, True, False, True]),
        ("n not between -7 and 2", [True, False, None, False, True, False]),
        ('"odd name" * 2', [2, 4, 6, 8, 10, 12]),
        ("`odd name` = 3", [False, False, True, False, False, False]),
        ("if(late, 1, 2.5)", [1.0, 2.5, 2.5, 1.0, 2.5, 1.0]),
        ("if(delay > 0, delay, null)", [1.5, None, None, None, 1e6, None]),
        ("coalesce(delay, n, 9)", [1.5, -7.25, 9.0, 0.0, 1e6, 0.0]),
        ("least(n, 2)", [2, -7, None, 0, 2, 2]),
        ("greatest(n, delay, 1)", [7.0, 1.0, None, None, 1e6, 2.0]),
        ("lower(trim(carrier))", ["aa", "ua", None, "", "a'a", "ünïted"]),
        ("length(carrier)", [2, 2, None, 0, 3, 7]),
        ("substring(carrier, 2, 2)", ["A", "a", None, "", "'A", "nï"]),
        ("contains(carrier, 'A')", [True, False, None, False, True, False]),
        ("matches(carrier, '^[A-Z]{2}$')", [True, False, None, False, False, False]),
        ("concat(carrier, '-', n)", ["AA-7", "ua--7", None, "-0", "A'A-3", "Ünïted -2"]),
        ("replace(carrier, 'A', 'B')", ["BB", "ua", None, "", "B'B", "Ünïted "]),
        ("year(at)", [2013, 2012, None, 1969, 2013, None]),
        ("hour(at)", [23, 0, None, 12, 1, None]),
        ("weekday(day)", [3, None, 2, 3, None, None]),
        ("day_of_year(day)", [31, None, 60, 1, None, None]),
        ("at >= '2013-01-01' and day < '2013-02-01'", [True, False, None, False, None, None]),
        ("at in ('2012-02-29')", [False, True, None, False, False, None]),
        ("hours_between(day, at)", [23 + 59 / 60, None, None, -12.0, None, None]),
        ("date(add_hours(at, 0.5))", [datetime.date(2013, 2, 1), datetime.date(2012, 2, 29), None,
                                      datetime.date(1969, 12, 31), datetime.date(2013, 7, 1), None]),
        ("sqrt(delay)", [math.sqrt(1.5), None, None, None, 1000.0, 0.0]),
        ("log(delay)", [math.log(1.5), None, None, None, math.log(1e6), None]),
        ("round(delay)", [2.0, -7.0, None, None, 1e6, 0.0]),
        ("round(delay, 1)", [1.5, -7.2, None, None, 1e6, 0.0]),
        ("floor(delay) + ceil(delay)", [3.0, -15.0, None, None, 2e6, 0.0]),
        ("abs(n)", [7, 7, None, 0, 3, 2]),
        ("int(delay)", [1, -7, None, None, 1000000, 0]),
        ("int('12') + int('+3') + 0 * n", [15, 15, None, 15, 15, 15]),
        ("float(carrier)", [None] * 6),
        ("bool(n)", [True, True, None, False, True, True]),
        ("late + late", [2, 0, None, 2, 0, 2]),
        ("string(n)", ["7", "-7", None, "0", "3", "2"]),
        ("1", [1] * 6),
        ("'a'", ["a"] * 6),
        ("TRUE and Not FALSE", [True] * 6),
    ],
)  # fmt: skip
def test_an_expression_gives_a_value_a_row(text: str, wanted: list[Any]) -> None:
    found = values(text)
    for one, other in zip(found, wanted, strict=True):
        if isinstance(other, float):
            assert one == pytest.approx(other, rel=1e-12), (found, wanted)
        else:
            assert one == other, (found, wanted)
            assert type(one) is type(other)


@pytest.mark.parametrize(
    ("text", "what", "start", "end"),
    [
        ("dealy > 0", "there is no column dealy; did you mean delay?", 0, 5),
        ("delay > ", "something is missing at the end", 8, 9),
        ("delay >> 0", "'>' cannot stand here", 7, 8),
        ("delay 3", "'3' cannot follow here; an operator", 6, 7),
        ("", "the expression is empty", 0, 1),
        ("(n", "wanted ) to close the bracket", 2, 3),
        ("n + carrier", "texts are put together with concat", 0, 11),
        ("n * carrier", "each side of * must be a number, and this is text", 4, 11),
        ("n and late", "each side of and must be true or false, and this is a whole number", 0, 1),
        ("carrier = 3", "text cannot be compared with a whole number", 0, 11),
        ("n = null", "write is null", 4, 8),
        ("1 < n < 3", "join two with and", 6, 7),
        ("n & 1", "& is no operator; write and", 2, 3),
        ("carrier = 'AA", "is not closed", 10, 11),
        ('carrier = "AA"', "a text goes in single quotes: 'AA'", 10, 14),
        ("sqr(n)", "there is no function sqr; did you mean sqrt?", 0, 3),
        ("sqrt(n, 2)", "here it has 2 arguments", 0, 4),
        ("lower(n)", "argument 1 of lower must be text", 6, 7),
        ("matches(carrier, '(')", "not valid: missing )", 17, 20),
        ("matches(carrier, carrier)", "must be written out", 17, 24),
        ("at > 'yesterday'", "is no time; write it like", 5, 16),
        ("at - day", "hours_between(from, to)", 0, 2),
        ("if(late, 1, 'a')", "values of one type", 9, 15),
        ("if(n, 1, 2)", "argument 1 of if must be true or false", 3, 4),
        ("nested = 1", "nested cannot be compared", 0, 10),
        ("n in (carrier)", "written out", 6, 13),
        ("n in (1, 'a')", "text cannot be among values that are a whole number", 9, 12),
        ("99999999999999999999", "at most 63 bits", 0, 20),
        ("substring(carrier, 0, 1)", "counts from 1", 19, 20),
        ("__import__('os')", "there is no function __import__", 0, 10),
        ("carrier.__class__", "there is no column carrier.__class__", 0, 17),
        ("coalesce(null, null)", "nothing but null", 0, 8),
        ("n\x00", "cannot stand here", 1, 2),
        ("n.upper()", "there is no function n.upper", 0, 7),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, what: str, start: int, end: int) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text, COLUMNS)
    assert what in str(caught.value)
    assert (caught.value.start, caught.value.end) == (start, end)
    line, carets = caught.value.pointed.split("\n")
    assert carets.index("^") == start
    assert line == text


def test_the_caret_stands_in_the_right_line() -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression("n > 1\nand dealy > 2", COLUMNS)
    assert caught.value.pointed == "and dealy > 2\n    ^^^^^"


def test_depth_and_length_have_limits() -> None:
    with pytest.raises(ExpressionError, match="brackets within"):
        parse_expression("(" * 4_000 + "n" + ")" * 4_000, COLUMNS)
    with pytest.raises(ExpressionError, match="within"):
        parse_expression("not " * 2_000 + "late", COLUMNS)
    with pytest.raises(ExpressionError, match="within"):
        parse_expression("-" * 5_000 + "n", COLUMNS)
    with pytest.raises(ExpressionError, match="10,000 characters"):
        parse_expression("n + " * 5_000 + "1", COLUMNS)
    assert values(" + ".join(["n"] * 900))[0] == 6300


def test_a_condition_may_be_asked_for() -> None:
    parse_expression("n > 1", COLUMNS, wanted=ColumnType.BOOL)
    with pytest.raises(ExpressionError, match="gives a whole number, and true or false is wanted"):
        parse_expression("n + 1", COLUMNS, wanted=ColumnType.BOOL)
    parse_expression("n + 1", COLUMNS, wanted=ColumnType.FLOAT)


def test_it_says_which_columns_it_reads_and_what_it_gives() -> None:
    expression = parse_expression("if(delay > n, carrier, 'x')", COLUMNS)
    assert (expression.columns, expression.type) == (("delay", "n", "carrier"), ColumnType.STRING)


def test_a_number_that_outgrows_64_bits_is_told() -> None:
    big = pa.RecordBatch.from_pydict({"n": [2**62]})
    with pytest.raises(Invalid, match="past 64 bits; write float"):
        parse_expression("n * 4", COLUMNS).evaluate(big)
    assert parse_expression("float(n) * 4", COLUMNS).evaluate(big).to_pylist() == [2.0**64]


def test_a_batch_without_the_column_is_told() -> None:
    with pytest.raises(Invalid, match="reads delay"):
        parse_expression("delay > 1", COLUMNS).evaluate(pa.RecordBatch.from_pydict({"n": [1]}))


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint32(), pa.float32(), pa.int64()])
def test_narrow_numbers_are_taken(kind: pa.DataType) -> None:
    batch = pa.RecordBatch.from_arrays([pa.array([1, None, 100], kind)], ["n"])
    assert parse_expression("n * 100", COLUMNS).evaluate(batch).to_pylist() == [100, None, 10000]


def test_an_empty_batch_gives_nothing() -> None:
    empty = BATCH.slice(0, 0)
    for text in ("n + 1", "1", "carrier in ('a')", "if(late, n, 2)", "concat(carrier, n)"):
        assert len(parse_expression(text, COLUMNS).evaluate(empty)) == 0


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=60) | st.lists(
    st.sampled_from(["n", "delay", "carrier", "late", "at", "(", ")", "+", "-", "*", "//", "and", "or", "not", "is",
                     "null", "in", "between", "1", "2.5", "'a'", ",", "=", "<", *FUNCTIONS]), max_size=14,
).map(" ".join))  # fmt: skip
def test_any_text_is_an_expression_or_is_told_why_not(text: str) -> None:
    wrong = None
    try:
        expression = parse_expression(text, COLUMNS)
    except ExpressionError as error:
        wrong = error
    if wrong is not None:
        assert 0 <= wrong.start < wrong.end
        assert "^" in wrong.pointed
        return
    with contextlib.suppress(Invalid):  # a whole number may outgrow its bits
        assert len(expression.evaluate(BATCH)) == BATCH.num_rows


def _numbers(depth: int) -> st.SearchStrategy[str]:
    leaf = st.sampled_from(["n", "`odd name`", "3", "-2", "late"])
    if depth == 0:
        return leaf
    inner = _numbers(depth - 1)
    return leaf | st.tuples(inner, st.sampled_from(["+", "-", "*"]), inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})")


@settings(max_examples=150, deadline=None)
@given(_numbers(3))
def test_arithmetic_is_that_of_pandas(text: str) -> None:
    frame = FRAME.astype({"n": "Int64", "late": "boolean"}).assign(late=lambda f: f["late"].astype("Int64"))
    scope = {"n": frame["n"], "odd": frame["odd name"], "late": frame["late"]}
    wanted = eval(text.replace("`odd name`", "odd"), {"__builtins__": {}}, scope)
    series = wanted if isinstance(wanted, pd.Series) else pd.Series([wanted] * len(frame), dtype="Int64")
    assert values(f"0 + {text}") == [None if pd.isna(value) else int(value) for value in series]

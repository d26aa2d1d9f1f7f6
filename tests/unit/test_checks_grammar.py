"""Checks as TOML: what they mean, and where a mistake is."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import pytest

from backends.contract import Invalid, NotFound
from console.data.checks.grammar import parse_checks, read_checks
from console.data.checks.spec import KINDS, Complete, Duplicates, Key, Quantile, Range, Rows, Set, Strict

EXAMPLE = """
severity = "warn"
owner = "data"

[table]
strict = true
rows = [10, 20]
key = ["id"]
duplicates = 0.01

[columns.dep_delay]
type = "float"
missing = 0.03
min = -60
max = 1500
severity = "fail"

[columns.carrier]
values = ["AA", "UA"]
note = "as IATA has them"

[[check]]
kind = "quantile"
column = "dep_delay"
q = 0.5
max = 5
name = "on time"
"""


def test_short_and_long_forms_become_checks_in_order_with_names_of_their_own() -> None:
    checks = parse_checks(EXAMPLE).checks
    assert [check.name for check in checks] == [
        "strict", "rows", "key id", "duplicates", "type dep_delay", "complete dep_delay", "range dep_delay",
        "set carrier", "on time",
    ]  # fmt: skip
    strict, rows, key, duplicates, _, complete, span, values, quantile = checks
    assert isinstance(strict, Strict)
    assert strict.columns == ("dep_delay", "carrier")
    assert isinstance(rows, Rows)
    assert (rows.min, rows.max) == (10, 20)
    assert isinstance(key, Key)
    assert isinstance(duplicates, Duplicates)
    assert duplicates.share == 0.01
    assert isinstance(complete, Complete)
    assert (complete.missing, complete.severity, complete.owner) == (0.03, "fail", "data")
    assert isinstance(span, Range)
    assert (span.min, span.max) == (-60, 1500)
    assert isinstance(values, Set)
    assert (values.severity, values.note) == ("warn", "as IATA has them")
    assert isinstance(quantile, Quantile)


def test_two_checks_of_one_kind_and_column_get_two_names() -> None:
    text = '[[check]]\nkind = "mean"\ncolumn = "a"\nmin = 1\n' * 2
    assert [check.name for check in parse_checks(text).checks] == ["mean a", "mean a (2)"]


def test_bounds_may_be_dates() -> None:
    (check,) = parse_checks('[columns.at]\nmin = 2013-01-01\nmax = "2013-12-31T00:00"').checks
    assert isinstance(check, Range)
    assert check.min == datetime.date(2013, 1, 1)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[columns.a]\nmni = 3\n', ":2: columns.a.mni: 'mni' is not a key in [columns.a]; did you mean min?"),
        ('[tabel]\nrows = 3\n', "checks.toml:1: tabel: 'tabel' is not a key in a file of checks; did you mean table?"),
        ('x = 1\n', "checks.toml:1: x: 'x' is not a key in a file of checks"),
        ('[[check]]\nkind = "rnage"\n', ":2: check 1.kind: 'rnage' is no kind of check; did you mean range?"),
        ('[[check]]\nkind = "rows"\nmin = 1\n\n[[check]]\nkind = "mean"\ncolum = "a"\n',
         "checks.toml:7: check 2.colum: 'colum' is not a key of a mean check; did you mean column?"),
        ('[[check]]\nkind = "mean"\nmin = 1\n', "checks.toml:1: check 1: a mean check needs column; add column = …"),
        ('[[check]]\nkind = "mean"\ncolumn = "a"\n', "checks.toml:1: check 1: a mean check needs min or max"),
        ('[[check]]\ncolumn = "a"\n', "checks.toml:1: check 1: the check does not say its kind"),
        ('[columns.a]\nmissing = 3\n', "checks.toml:2: columns.a.missing: expected `float` <= 1.0."),
        ('[columns.a]\ntype = "flaot"\n', "checks.toml:2: columns.a.type: 'flaot' is not known; did you mean float?"),
        ('[columns.a]\nmin = 5\nmax = 3\n', "checks.toml:2: columns.a.min: min 5 is above max 3; exchange them."),
        ('[columns.a]\nmin = "soon"\n', "checks.toml:2: columns.a.min: wanted a number, a date, a time"),
        ('[columns.a]\npattern = "["\n', "checks.toml:2: columns.a.pattern: '[' is no pattern"),
        ('[columns."a b"]\nvalues = []\n', "checks.toml:2: columns.a b.values: a set check names at least one."),
        ('[[check]]\nkind = "freshness"\ncolumn = "a"\nwithin = "soon"\n',
         "checks.toml:4: check 1.within: 'soon' is no length of time; write 36h, 7d or 2w."),
        ('[table]\nstrict = true\n', "checks.toml:2: table.strict: there are no [columns.NAME] for it to go by"),
        ('severity = "fatal"\n[columns.a]\nmin = 1\n', "'fatal' is not known; did you mean fail? Valid: warn, fail."),
        ('a = = 3', "checks.toml:1:5: not valid TOML"),
        ('', "checks.toml: there is no check in it"),
        ('check = 3', "checks.toml:1: check: is a list of tables"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_file_line_and_key(text: str, told: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_checks(text, "checks.toml")
    assert told in str(caught.value)


def test_names_stand_once() -> None:
    with pytest.raises(Invalid, match="two checks are named 'x'"):
        parse_checks('[[check]]\nkind = "rows"\nmin = 1\nname = "x"\n' * 2)


def test_a_file_that_is_not_there_or_is_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file of checks"):
        read_checks(tmp_path / "absent.toml")
    with pytest.raises(Invalid, match="is a folder"):
        read_checks(tmp_path)
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(Invalid, match="byte 3 is not UTF-8"):
        read_checks(tmp_path / "latin")


def test_there_are_at_least_25_kinds_each_said_in_a_sentence() -> None:
    assert len(KINDS) >= 25
    assert all(kind.__doc__ for kind in KINDS.values())


def test_the_grammar_is_read_without_a_data_library() -> None:
    code = (
        "import console.data.checks.grammar, console.data.checks.standing, console.data.checks.asked, sys;"
        "print([m for m in ('pyarrow', 'numpy', 'pandas') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"

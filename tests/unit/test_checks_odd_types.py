"""Checks and suggestions on what Parquet can hold besides numbers and words."""

from __future__ import annotations

import datetime
import decimal
from pathlib import Path

import pyarrow as pa

from console.data.checks.suggest import suggest_checks
from tests.checked import Checked

N = 240


def odd_table() -> pa.Table:
    return pa.table(
        {
            "list": pa.array([[i % 3, None] for i in range(N)]),
            "struct": pa.array([{"a": i % 4, "b": "x"} for i in range(N)]),
            "decimal": pa.array([decimal.Decimal(f"{i}.25") for i in range(N)], pa.decimal128(12, 2)),
            "large": pa.array([f"k{i % 7}" for i in range(N)], pa.large_string()),
            "dict": pa.array(["a", "b", None] * (N // 3)).dictionary_encode(),
            "binary": pa.array([bytes([i % 256, 0]) for i in range(N)]),
            "ns": pa.array([i * 1_000_000_007 for i in range(N)], pa.timestamp("ns")),
            "zoned": pa.array([i * 1_000_000 for i in range(N)], pa.timestamp("us", "Europe/Berlin")),
            "date": pa.array([datetime.date(2013, 1, 1) + datetime.timedelta(i) for i in range(N)]),
            "time": pa.array([datetime.time(i % 24) for i in range(N)]),
            "u64": pa.array([2**63 + i for i in range(N)], pa.uint64()),
            "half": pa.array([float(i % 5) for i in range(N)], pa.float32()),
            "nothing": pa.nulls(N, pa.float64()),
            "inf": pa.array([float("inf"), -1.0, float("nan")] * (N // 3)),
            "bool": pa.array([True, None] * (N // 2)),
        }
    )


def test_what_is_suggested_from_odd_types_passes_on_them(tmp_path: Path) -> None:
    made = Checked(tmp_path)
    made.add(odd_table())
    text = suggest_checks(made.backend.need("datasets"), "t", target="bool")
    report = made.run(text)
    bad = [(each.check, each.value, each.rule, each.detail) for each in report.results if each.status != "pass"]
    assert not bad
    made.backend.close()


def test_each_kind_says_what_it_cannot_look_at(tmp_path: Path) -> None:
    made = Checked(tmp_path)
    made.add(odd_table())
    for column in ("list", "struct", "binary", "time"):
        assert "wanted" in made.one("range", column=column, min=0).detail
        assert "wanted numbers" in made.one("mean", column=column, min=0).detail
    assert made.one("complete", column="bool").failing == N // 2
    assert made.one("complete", column="inf").failing == N // 3
    assert made.one("unique", column="decimal").status == "pass"
    assert made.one("unique", column="list").failing == N - 3
    assert made.one("set", column="dict", values=["a"]).failing == N // 3
    assert made.one("range", column="date", min="2013-01-02").failing == 1
    assert made.one("duplicates").status == "pass"
    assert made.one("conflicts", target="bool", columns=["half"]).status == "pass"
    made.backend.close()


def test_a_version_without_rows_is_judged_and_not_a_crash(tmp_path: Path) -> None:
    made = Checked(tmp_path)
    made.add(pa.table({"a": [1, 2], "s": ["x", "y"], "at": pa.array([0, 1], pa.timestamp("us"))}))
    text = suggest_checks(made.backend.need("datasets"), "t", target="s")
    import pyarrow.parquet as pq

    from backends.entities import Column, ColumnType
    from tests.checked import ACTOR

    path = tmp_path / "none.parquet"
    types = {"a": pa.int64(), "s": pa.string(), "at": pa.timestamp("us")}
    pq.write_table(pa.table({name: pa.array([], kind) for name, kind in types.items()}), path)
    kinds = {"a": ColumnType.INT, "s": ColumnType.STRING, "at": ColumnType.DATETIME}
    columns = [Column(name=name, type=kind) for name, kind in kinds.items()]
    made.backend.need("datasets").add(
        "t", path, digest="1" * 64, rows=0, columns=columns, source="empty", mutation=ACTOR
    )
    more = '\n[[check]]\nkind = "leakage"\ntarget = "s"\n[[check]]\nkind = "drift"\ncolumn = "a"\n'
    more += '[[check]]\nkind = "determines"\ncolumns = ["a"]\ncolumn = "s"\n'
    more += '[[check]]\nkind = "mean"\ncolumn = "a"\nmin = 0\n'
    more += '[[check]]\nkind = "overlap"\nagainst = "t@1"\n[[check]]\nkind = "new_category"\ncolumn = "s"\n'
    more += '[[check]]\nkind = "quantile"\ncolumn = "a"\nq = 0.5\nmin = 0\n[[check]]\nkind = "outliers"\ncolumn = "a"\n'
    report = made.run(text + more, "t@2")
    assert report.status == "fail"
    made.backend.close()


def test_many_hundreds_of_columns(tmp_path: Path) -> None:
    made = Checked(tmp_path)
    wide = pa.table({f"c{i}": [i, i + 1, None] for i in range(900)})
    made.add(wide)
    text = "\n".join(f"[columns.c{i}]\nmin = 0\nmissing = 0.5" for i in range(600))
    report = made.run(f"[table]\nstrict = true\nduplicates = 0\n{text}")
    assert [each.check for each in report.results if each.status == "fail"] == ["strict"]
    made.backend.close()

"""What checking costs: 25 checks over ten million rows × 20 columns, and the same checks beside its peers on a million.

    python -m tests.bench.bench_data_checks [ROWS] [--peers PYTHON]

PYTHON is the interpreter of an environment that has pandera and great_expectations; without it ours alone is measured.
Each is run in a process of its own, reading of the file included; CPU seconds, wall seconds and peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PEER_ROWS = 1_000_000
GROUP = 1 << 17

CHECKS = """
[table]
strict = true
rows = [1000, 100_000_000]
duplicates = 0.0

[columns.id]
type = "int"
unique = true
[columns.at]
type = "datetime"
missing = 0.0
[columns.carrier]
values = ["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"]
[columns.tail]
pattern = "N[0-9]{5}"
[columns.origin]
values = ["EWR", "JFK", "LGA"]
missing = 0.0
[columns.late]
[columns.i0]
min = 0
max = 2400
[columns.i1]
min = 0
max = 60
[columns.i2]
min = 0
[columns.f0]
missing = 0.05
min = -100.0
max = 2000.0
[columns.f1]
missing = 0.05
min = -10.0
max = 10.0
[columns.f2]
min = 0.0
max = 1.0
[columns.f3]
[columns.f4]
[columns.f5]
[columns.f6]
[columns.f7]
[columns.f8]
[columns.f9]
[columns.f10]

[[check]]
kind = "mean"
column = "f3"
min = -0.1
max = 0.1
[[check]]
kind = "mean"
column = "f4"
min = -0.1
max = 0.1
[[check]]
kind = "quantile"
column = "f5"
q = 0.5
min = -0.1
max = 0.1
[[check]]
kind = "quantile"
column = "f5"
q = 0.95
min = 1.0
max = 2.0
[[check]]
kind = "outliers"
column = "f6"
[[check]]
kind = "monotonic"
column = "at"
[[check]]
kind = "freshness"
column = "at"
not_before = 2013-01-01
[[check]]
kind = "expression"
expression = "f2 >= 0 and i1 < 61"
[[check]]
kind = "correlation"
columns = ["f7", "f8"]
min = -0.1
[[check]]
kind = "leakage"
target = "late"
[[check]]
kind = "balance"
column = "late"
min = 0.01
"""


def write(path: Path, rows: int) -> None:
    """The data, group by group: 20 columns of times, numbers, words and a label."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for first in range(0, rows, GROUP):
        n = min(GROUP, rows - first)
        rng = np.random.default_rng(first)
        tails = rng.integers(0, 4000, n)
        words = np.array([f"N{i:05d}" for i in range(4000)], dtype=object)
        table = pa.table(
            {
                "id": np.arange(first, first + n),
                "at": np.datetime64("2013-01-01", "us") + np.arange(first, first + n) * np.timedelta64(1, "s"),
                "carrier": pa.array(rng.choice(["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"], n)),
                "tail": pa.array(words[tails], pa.string()),
                "origin": pa.array(rng.choice(["EWR", "JFK", "LGA"], n)),
                "late": rng.random(n) < 0.2,
                "i0": rng.integers(0, 2400, n),
                "i1": rng.integers(0, 60, n),
                "i2": rng.integers(0, 5000, n),
                "f0": pa.array(rng.gamma(2, 30, n), mask=rng.random(n) < 0.03),
                "f1": pa.array(rng.normal(0, 1, n), mask=rng.random(n) < 0.03),
                "f2": rng.random(n),
                **{f"f{i}": np.round(rng.normal(0, 1, n), 4) for i in range(3, 11)},
            }
        )
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd", version="2.6")
        writer.write_table(table, row_group_size=n)
    if writer is not None:
        writer.close()


def keep(folder: Path, file: Path, rows: int) -> None:
    """Into a workspace, as dataset `t`, without reading it."""
    import pyarrow.parquet as pq

    from backends.contract import Mutation
    from backends.entities import Column
    from backends.local import open_local
    from console.data.inference import column_type

    schema = pq.read_schema(file)
    columns = [Column(name=field.name, type=column_type(field.type)) for field in schema]
    backend = open_local(folder)
    backend.need("datasets").add(
        "t", file, digest="0" * 64, rows=rows, columns=columns, source="bench", mutation=Mutation(actor="bench")
    )
    backend.close()


LEFT_OUT = frozenset(
    {"type id", "type at", "complete at", "complete origin", "complete f1", "range f1", "range i2", "mean f4",
     "quantile f5 q0.95", "monotonic at", "freshness at", "correlation f7, f8", "balance late", "required"}
)  # fmt: skip
"""Of all 39, so that 25 are left, the dear ones among them."""


def ours25(place: str) -> dict[str, float]:
    return ours(place, LEFT_OUT)


def ours(place: str, left_out: frozenset[str] = frozenset()) -> dict[str, float]:
    began = time.perf_counter()
    from console.data.lean import spare_pandas

    spare_pandas()
    import pyarrow.compute
    import pyarrow.parquet  # noqa: F401  what a check needs is counted as import

    from backends.local import open_local
    from console.data.checks.grammar import parse_checks
    from console.data.checks.run import check_version
    from console.data.checks.spec import CheckSet

    imported = time.perf_counter() - began
    found = [check for check in parse_checks(CHECKS).checks if check.name not in left_out]
    checks = CheckSet(checks=tuple(found))
    backend = open_local(Path(place))
    report = check_version(backend.need("datasets"), "t", checks)
    assert report.status == "pass", [(each.check, each.value, each.detail) for each in report.results]
    return {"import": imported, "checks": len(report.results)}


def pandera(file: str) -> dict[str, float]:
    began = time.perf_counter()
    import pandas as pd
    import pandera.pandas as pa

    imported = time.perf_counter() - began
    frame = pd.read_parquet(file)
    column, check = pa.Column, pa.Check
    floats = {f"f{i}": column(float) for i in range(3, 11)}
    for name in ("f3", "f4"):
        floats[name] = column(float, check(lambda s: abs(s.mean()) < 0.1))
    floats["f5"] = column(
        float, [check(lambda s: abs(s.quantile(0.5)) < 0.1), check(lambda s: 1 < s.quantile(0.95) < 2)]
    )
    floats["f6"] = column(float, check(_few_outliers))
    schema = pa.DataFrameSchema(
        {
            "id": column("int64", unique=True),
            "at": column("datetime64[us]", check(lambda s: s.is_monotonic_increasing), nullable=False),
            "carrier": column("str", check.isin(["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"])),
            "tail": column("str", check.str_matches(r"^N[0-9]{5}$")),
            "origin": column("str", check.isin(["EWR", "JFK", "LGA"]), nullable=False),
            "late": column(bool),
            "i0": column("int64", check.in_range(0, 2400)),
            "i1": column("int64", check.in_range(0, 60)),
            "i2": column("int64", check.ge(0)),
            "f0": column(float, [check.in_range(-100, 2000), check(_complete, ignore_na=False)], nullable=True),
            "f1": column(float, [check.in_range(-10, 10), check(_complete, ignore_na=False)], nullable=True),
            "f2": column(float, check.in_range(0, 1)),
            **floats,
        },
        checks=[
            check(lambda d: not d.duplicated().any()),
            check(lambda d: len(d) >= 1000),
            check(lambda d: d["at"].max() >= pd.Timestamp("2013-01-01")),
            check(lambda d: (d.f2 >= 0) & (d.i1 < 61)),
            check(lambda d: d.f7.corr(d.f8) > -0.1),
            check(lambda d: d.late.value_counts(normalize=True).min() > 0.01),
        ],
        strict=True,
    )
    schema.validate(frame, lazy=True)
    return {"import": imported, "checks": 34}


def _complete(series: object) -> bool:
    return bool(series.isna().mean() < 0.05)  # type: ignore[attr-defined]


def _few_outliers(series: object) -> bool:
    low, high = series.quantile(0.25), series.quantile(0.75)  # type: ignore[attr-defined]
    return bool(((series < low - 3 * (high - low)) | (series > high + 3 * (high - low))).mean() < 0.01)


def great_expectations(file: str) -> dict[str, float]:
    began = time.perf_counter()
    import great_expectations as gx
    import great_expectations.expectations as gxe
    import pandas as pd

    imported = time.perf_counter() - began
    frame = pd.read_parquet(file)
    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("p").add_dataframe_asset("a")
    batch = asset.add_batch_definition_whole_dataframe("b").get_batch({"dataframe": frame})
    suite = context.suites.add(gx.ExpectationSuite(name="s"))
    names = list(frame.columns)
    between = gxe.ExpectColumnValuesToBeBetween
    for expectation in (
        gxe.ExpectTableColumnsToMatchSet(column_set=names),
        gxe.ExpectTableRowCountToBeBetween(min_value=1000, max_value=100_000_000),
        gxe.ExpectColumnValuesToBeUnique(column="id"),
        gxe.ExpectColumnValuesToBeOfType(column="id", type_="int64"),
        gxe.ExpectColumnValuesToNotBeNull(column="at"),
        gxe.ExpectColumnValuesToBeInSet(column="carrier", value_set=["AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN"]),
        gxe.ExpectColumnValuesToMatchRegex(column="tail", regex=r"^N[0-9]{5}$"),
        gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=["EWR", "JFK", "LGA"]),
        gxe.ExpectColumnValuesToNotBeNull(column="origin"),
        between(column="i0", min_value=0, max_value=2400),
        between(column="i1", min_value=0, max_value=60),
        between(column="i2", min_value=0),
        gxe.ExpectColumnValuesToNotBeNull(column="f0", mostly=0.95),
        gxe.ExpectColumnValuesToNotBeNull(column="f1", mostly=0.95),
        between(column="f0", min_value=-100, max_value=2000),
        between(column="f1", min_value=-10, max_value=10),
        between(column="f2", min_value=0, max_value=1),
        gxe.ExpectColumnMeanToBeBetween(column="f3", min_value=-0.1, max_value=0.1),
        gxe.ExpectColumnMeanToBeBetween(column="f4", min_value=-0.1, max_value=0.1),
        gxe.ExpectColumnMedianToBeBetween(column="f5", min_value=-0.1, max_value=0.1),
        gxe.ExpectColumnQuantileValuesToBeBetween(
            column="f5", quantile_ranges={"quantiles": [0.95], "value_ranges": [[1, 2]]}
        ),
        gxe.ExpectCompoundColumnsToBeUnique(column_list=names),
    ):
        suite.add_expectation(expectation)
    result = batch.validate(suite)
    assert result.success, result
    return {"import": imported, "checks": len(suite.expectations)}


def measured(who: str, argument: str, python: str = sys.executable) -> dict[str, float]:
    """In a process of its own."""
    began = time.perf_counter()
    done = subprocess.run(
        [python, __file__, "--run", who, argument], capture_output=True, text=True, check=False, timeout=1800
    )
    if done.returncode:
        raise SystemExit(f"{who}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found | {"wall": time.perf_counter() - began}


def say(name: str, found: dict[str, float], rows: int) -> None:
    print(
        f"{name:<22} {rows:>11,} rows {found['checks']:>3.0f} checks  {found['cpu']:6.2f} s CPU "
        f"{found['wall']:6.2f} s wall  {found['rss']:7.0f} MB  import {found['import']:.2f} s",
        flush=True,
    )


def main(rows: int, peers: str) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-checks-") as made:
        folder = Path(made)
        for size in sorted({min(PEER_ROWS, rows), rows}):
            file = folder / f"{size}.parquet"
            write(file, size)
            megabytes = file.stat().st_size / 1e6
            print(f"{size:,} rows × 20 columns, {megabytes:.0f} MB Parquet", flush=True)
            if peers and size == PEER_ROWS:
                for who in ("pandera", "great_expectations"):
                    say(who, measured(who, str(file), peers), size)
            keep(folder / f"w{size}", file, size)
            for who in ("ours", "ours25"):
                say(who, measured(who, str(folder / f"w{size}")), size)


def run(who: str, argument: str) -> None:
    found = {"ours": ours, "ours25": ours25, "pandera": pandera, "great_expectations": great_expectations}[who](
        argument
    )
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(found | {"cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1000}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="?", type=int, default=10_000_000)
    parser.add_argument("--peers", default="")
    parser.add_argument("--run", nargs=2, default=None)
    given = parser.parse_args()
    if given.run:
        run(*given.run)
    else:
        main(given.rows, given.peers)

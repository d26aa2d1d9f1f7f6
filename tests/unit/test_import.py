"""Importing: what comes in is what is kept, typed over the whole file, once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backends.contract import Backend, Mutation
from backends.entities import ColumnType, DatasetVersion, Progress
from backends.local import open_local
from console.data.digest import ContentDigest
from console.data.importing import import_file
from console.data.inference import TextGuess

ACTOR = Mutation(actor="tester@here", reason="test")

CSV = (
    "id,count,price,paid,day,at,text\n"
    "007,1,1.5,true,2013-01-01,2013-01-01 05:00:00,a\n"
    '008,,NA,false,,2013-01-01T06:00:00,"say ""hi"",\nthen go"\n'
)
KINDS = ["string", "int", "float", "bool", "date", "datetime", "string"]


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def take(backend: Backend, path: Path, content: str | bytes, name: str = "table") -> tuple[DatasetVersion, bool]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    assert backend.datasets is not None
    assert backend.home is not None
    result = import_file(backend.datasets, path, name, ACTOR, staging=backend.home / "tmp")
    assert not list((backend.home / "tmp").iterdir()), "the staging folder is left clean"
    return result


def kept(backend: Backend, version: DatasetVersion) -> pa.Table:
    assert backend.datasets is not None
    return pq.read_table(backend.datasets.path(version.ref))


def kinds(version: DatasetVersion) -> list[str]:
    return [column.type.value for column in version.columns]


def test_a_csv_file_becomes_a_typed_version_with_its_missing_values_counted(backend: Backend, tmp_path: Path) -> None:
    version, created = take(backend, tmp_path / "t.csv", CSV)
    assert created
    assert version.ref == "table@1"
    assert version.rows == 2
    assert kinds(version) == KINDS
    assert [column.nulls for column in version.columns] == [0, 1, 1, 0, 1, 0, 0]
    assert kept(backend, version)["text"].to_pylist() == ["a", 'say "hi",\nthen go']
    assert kept(backend, version)["id"].to_pylist() == ["007", "008"]


def test_the_same_content_in_any_format_is_the_same_version(backend: Backend, tmp_path: Path) -> None:
    first, _ = take(backend, tmp_path / "t.csv", CSV)
    records = kept(backend, first).to_pylist()
    lines = "".join(json.dumps(record, default=str) + "\n" for record in records)
    assert backend.datasets is not None
    parquet = backend.datasets.path(first.ref).read_bytes()
    tabs = CSV.replace(",\n", "\0").replace('"",', "\1").replace(",", "\t").replace("\0", ",\n").replace("\1", '"",')
    for name, content in {
        "t.tsv": tabs.encode(),
        "t.jsonl": lines.encode(),
        "t.parquet": parquet,
        "t.csv.gz": gzip.compress(CSV.encode()),
        "t.parquet.gz": gzip.compress(parquet),
        "bom.csv": b"\xef\xbb\xbf" + CSV.encode(),
        "dos.csv": CSV.replace("\n", "\r\n").replace(",\r\nthen", ",\nthen").encode(),
    }.items():
        version, created = take(backend, tmp_path / name, content)
        assert (version.ref, created) == (first.ref, False), name


def test_one_changed_value_is_a_new_version(backend: Backend, tmp_path: Path) -> None:
    first, _ = take(backend, tmp_path / "t.csv", CSV)
    second, created = take(backend, tmp_path / "t.csv", CSV.replace("1.5", "1.6"))
    assert created
    assert second.ref == "table@2"
    assert second.digest != first.digest


LONG = "a,b\n" + "".join(f"{i},{i}\n" for i in range(700_000))
"""Longer than one block, so that a late value comes after typed batches were written."""


def test_a_column_widens_over_the_whole_file_and_loses_nothing(backend: Backend, tmp_path: Path) -> None:
    late_float, _ = take(backend, tmp_path / "f.csv", LONG + "1.5,NA\n", "f")
    assert kinds(late_float) == ["float", "int"]
    assert late_float.rows == 700_001
    assert kept(backend, late_float)["a"].to_pylist()[-2:] == [699_999.0, 1.5]
    late_text, _ = take(backend, tmp_path / "s.csv", LONG + "x,7\n", "s")
    assert kinds(late_text) == ["string", "int"]
    assert kept(backend, late_text)["a"].to_pylist()[:2] + kept(backend, late_text)["a"].to_pylist()[-1:] == [
        "0",
        "1",
        "x",
    ]


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2"], "int"),
        (["-1", "9223372036854775807"], "int"),
        (["9223372036854775808"], "string"),
        (["1", "2.5"], "float"),
        (["12345678901234567", "1.5"], "string"),
        (["007", "8"], "string"),
        (["0x1F", "2"], "string"),
        (["1e5", "2"], "float"),
        (["0", "0.5", "-0.25"], "float"),
        ([" 1", "2 "], "int"),
        (["1", "?", "-", "None"], "int"),
        (["NA", "US"], "string"),
        (["True", "FALSE"], "bool"),
        (["0", "true"], "string"),
        (["2013-01-01", "2013-01-02 05:00"], "datetime"),
        (["2013-01-01T05:00:00Z", "2013-01-01T05:00:00+02:00"], "datetime"),
        (["2013-01-01", "yesterday"], "string"),
        (["?", "?"], "string"),
        (["NaN", "NaN"], "float"),
        (["", ""], "string"),
    ],
)
def test_what_a_column_of_text_is_taken_for(backend: Backend, tmp_path: Path, values: list[str], kind: str) -> None:
    version, _ = take(backend, tmp_path / "t.csv", "n,x\n" + "".join(f"1,{value}\n" for value in values))
    assert version.columns[1].type == ColumnType(kind)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.none()), min_size=1), st.data())
def test_a_guess_does_not_depend_on_where_batches_end(values: list[object], data: st.DataObject) -> None:
    texts = pa.array([None if value is None else str(value) for value in values], pa.string())
    cut = data.draw(st.integers(0, len(texts)))
    whole, parts = TextGuess(), TextGuess()
    whole.observe(texts)
    parts.observe(texts[:cut])
    parts.observe(texts[cut:])
    assert parts.arrow_type == whole.arrow_type
    assert parts.convert(texts).equals(whole.convert(texts))
    if pa.types.is_string(whole.arrow_type):
        assert whole.convert(texts).equals(texts)
    elif pa.types.is_integer(whole.arrow_type):
        assert whole.convert(texts).null_count == sum(text is None or text == "" for text in texts.to_pylist())


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(allow_nan=False),
            st.none() | st.text(max_size=5),
            st.none() | st.booleans(),
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 40),
)
def test_the_digest_does_not_depend_on_chunks_and_does_on_every_value(
    rows: list[tuple[object, ...]], size: int
) -> None:
    schema = pa.schema([("i", pa.int64()), ("f", pa.float64()), ("s", pa.string()), ("b", pa.bool_())])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(column, field.type) for column, field in zip(zip(*rows, strict=True), schema, strict=True)],
        schema=schema,
    )
    whole, parts = ContentDigest(schema), ContentDigest(schema)
    whole.add(batch)
    for start in range(0, len(rows), size):
        parts.add(batch.slice(start, size))
    assert parts.hexdigest() == whole.hexdigest()
    changed = ContentDigest(schema)
    text = batch.column(2).to_pylist()
    text[-1] = (text[-1] or "") + "x"
    changed.add(batch.set_column(2, "s", pa.array(text, pa.string())))
    assert changed.hexdigest() != whole.hexdigest()


def test_text_moved_between_neighbouring_rows_changes_the_digest() -> None:
    schema = pa.schema([("s", pa.string())])
    digests = set()
    for values in (["ab", ""], ["a", "b"], ["", "ab"], ["ab", None], [None, "ab"]):
        digest = ContentDigest(schema)
        digest.add(pa.RecordBatch.from_arrays([pa.array(values, pa.string())], schema=schema))
        digests.add(digest.hexdigest())
    assert len(digests) == 5


def test_json_lines_keep_mixed_and_nested_values_as_their_text(backend: Backend, tmp_path: Path) -> None:
    lines = '{"a": 1}\n{"a": "x", "b": [1, 2]}\n\n{"a": 12345678901234567890, "c": true}\n'
    version, _ = take(backend, tmp_path / "t.jsonl", lines)
    table = kept(backend, version)
    assert table["a"].to_pylist() == ["1", "x", "12345678901234567890"]
    assert table["b"].to_pylist() == [None, "[1, 2]", None]
    assert table["c"].to_pylist() == [None, None, True]


def test_parquet_widths_are_one_kind_and_nan_is_missing(backend: Backend, tmp_path: Path) -> None:
    table = pa.table(
        {
            "small": pa.array([1, None], pa.int8()),
            "wide": pa.array([2**63, 1], pa.uint64()),
            "float": pa.array([float("nan"), 0.5], pa.float32()),
            "level": pa.array(["a", "b"]).dictionary_encode(),
            "exact": pa.array([1, 1001], pa.timestamp("ns")),
        }
    )
    pq.write_table(table, tmp_path / "made.parquet", version="2.6")
    version, _ = take(backend, tmp_path / "t.parquet", (tmp_path / "made.parquet").read_bytes())
    assert kinds(version) == ["int", "string", "float", "string", "datetime"]
    assert kept(backend, version)["wide"].to_pylist() == ["9223372036854775808", "1"]
    assert kept(backend, version)["float"].to_pylist() == [None, 0.5]
    assert kept(backend, version)["exact"].cast(pa.int64()).to_pylist() == [1, 1001]


def test_progress_says_how_far_how_fast_and_how_long(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG)
    said: list[Progress] = []
    assert backend.datasets is not None
    import_file(backend.datasets, path, "long", ACTOR, progress=said.append)
    assert said
    assert all(progress.fraction is not None and 0 < progress.fraction <= 1 for progress in said)
    assert "MB/s" in said[-1].rate
    assert said[-1].eta_s is not None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_import_that_is_killed_leaves_no_version_and_the_next_one_cleans_up(
    backend: Backend, tmp_path: Path, how: signal.Signals
) -> None:
    assert backend.home is not None
    staging = backend.home / "tmp"
    pipe = tmp_path / "slow.csv"
    pipe.write_text(LONG)
    script = (
        "import sys, time, signal\n"
        "from pathlib import Path\n"
        "from backends.contract import Mutation\n"
        "from backends.local import open_local\n"
        "from console.data.importing import import_file\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))\n"
        "home = Path(sys.argv[1])\n"
        "def slow(progress):\n"
        "    print('reading', flush=True)\n"
        "    time.sleep(600)\n"
        "import_file(open_local(home).datasets, Path(sys.argv[2]), 'slow', Mutation(actor='a'), progress=slow, "
        "staging=home / 'tmp')\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(backend.home), str(pipe)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        assert list(staging.glob("import-*"))
        os.kill(process.pid, how)
        process.wait(120)
    if how is signal.SIGTERM:
        assert not list(staging.glob("import-*"))
    assert backend.datasets is not None
    assert not backend.datasets.page().items
    version, created = take(backend, tmp_path / "slow.csv", LONG, "slow")
    assert created
    assert version.ref == "slow@1"


@pytest.mark.slow
def test_memory_stays_bounded_on_a_file_of_hundreds_of_megabytes(tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    block = "".join(f"{i},2013-01-{i % 28 + 1:02d},{i / 7:.6f},text of row {i}\n" for i in range(100_000))
    with path.open("w") as file:
        file.write("a,b,c,d\n")
        for _ in range(90):
            file.write(block)
    assert path.stat().st_size > 350 << 20
    script = (
        "import re, sys\n"
        "from pathlib import Path\n"
        "from backends.contract import Mutation\n"
        "from backends.local import open_local\n"
        "from console.data.importing import import_file\n"
        "home = Path(sys.argv[1])\n"
        "version, _ = import_file(open_local(home).datasets, Path(sys.argv[2]), 'big', Mutation(actor='a'), "
        "staging=home / 'tmp')\n"
        # not ru_maxrss, which a child inherits from the process that started it
        "status = Path('/proc/self/status').read_text()\n"
        "print(version.rows, int(re.search(r'VmHWM:\\s+(\\d+) kB', status)[1]) // 1024)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "ws"), str(path)], capture_output=True, text=True, check=True
    )
    rows, peak = map(int, done.stdout.split())
    assert rows == 9_000_000
    assert peak < 500, f"{peak} MB in {time.monotonic() - began:.0f} s"

"""What a path stands for: files, folders, patterns and partitioned trees, each in one order, united by column name."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backends.contract import Backend, Mutation
from backends.local import open_local
from console.data.importing import Imported, import_origin
from console.data.origin import Origin, masked, origin_name
from console.data.parts import find_parts

ACTOR = Mutation(actor="tester@here")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def written(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def take(backend: Backend, target: Path | str, name: str = "table", **more: Any) -> Imported:
    assert backend.datasets is not None
    assert backend.home is not None
    onto = more.pop("onto", "")
    done = import_origin(
        backend.datasets, Origin(target=str(target), **more), name, ACTOR, staging=backend.home / "tmp", onto=onto
    )
    assert not list((backend.home / "tmp").iterdir())
    return done


def rows(backend: Backend, done: Imported) -> list[dict[str, Any]]:
    assert backend.datasets is not None
    return list(pq.read_table(backend.datasets.path(done.version.ref)).to_pylist())


def notes(done: Imported) -> dict[str, str]:
    return {column.name: column.note for column in done.version.columns if column.note}


ZSTD = pa.compress(b"a,b\n3,z\n", codec="zstd", asbytes=True)


def test_a_folder_is_its_files_in_the_order_of_their_paths(backend: Backend, tmp_path: Path) -> None:
    files = {"b/1.csv": "a,b\n4,w\n", "a/2.csv.gz": gzip.compress(b"a,b\n2,y\n"), "a/10.csv": "a,b\n1,x\n"}
    folder = written(tmp_path / "in", {**files, "a/3.csv.zst": ZSTD, "_SUCCESS": "", ".hidden.csv": "z\n9\n"})
    done = take(backend, folder)
    assert [row["a"] for row in rows(backend, done)] == [1, 2, 3, 4]
    one = take(backend, written(tmp_path, {"one.csv": "a,b\n1,x\n2,y\n3,z\n4,w\n"}) / "one.csv")
    assert (one.version.ref, one.created) == (done.version.ref, False), "the same content is the same version"


def test_key_value_folders_become_typed_columns(backend: Backend, tmp_path: Path) -> None:
    tree = {f"year=2013/month={month}/p.csv": f"a\n{month}\n" for month in (1, 2)}
    folder = written(tmp_path / "in", {**tree, "year=2014/month=__HIVE_DEFAULT_PARTITION__/p%20.csv": "a\n3\n"})
    done = take(backend, folder)
    assert rows(backend, done) == [
        {"a": 1, "year": 2013, "month": 1},
        {"a": 2, "year": 2013, "month": 2},
        {"a": 3, "year": 2014, "month": None},
    ]
    keys = take(backend, folder, "keys", columns=("year",))
    assert [row["year"] for row in rows(backend, keys)] == [2013, 2013, 2014]
    only = take(backend, f"{folder}/year=2013/*/p.csv", "only", columns=("month", "a"))
    assert rows(backend, only) == [{"month": 1, "a": 1}, {"month": 2, "a": 2}]


def test_a_pattern_takes_what_matches_and_a_file_of_that_very_name_is_that_file(
    backend: Backend, tmp_path: Path
) -> None:
    folder = written(
        tmp_path / "in", {"a1.csv": "a\n1\n", "a2.csv": "a\n2\n", "deep/a3.csv": "a\n3\n", "b.csv": "a\n9\n"}
    )
    assert [row["a"] for row in rows(backend, take(backend, f"{folder}/a?.csv"))] == [1, 2]
    assert [row["a"] for row in rows(backend, take(backend, f"{folder}/**/a*.csv", "deep"))] == [1, 2, 3]
    written(folder, {"a[1].csv": "a\n7\n"})
    assert [row["a"] for row in rows(backend, take(backend, f"{folder}/a[1].csv", "odd"))] == [7]


def test_files_with_other_columns_are_united_and_that_is_said(backend: Backend, tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"a.csv": "a,b\n1,x\n", "b.csv": "c,a\n2.5,3\n", "read.me": "hello"})
    done = take(backend, folder)
    assert rows(backend, done) == [{"a": 1, "b": "x", "c": None}, {"a": 3, "b": None, "c": 2.5}]
    assert notes(done) == {"b": "in 1 of 2 files, not in b.csv", "c": "in 1 of 2 files, not in a.csv"}
    assert "2 files" in done.remarks[0]
    assert done.remarks[1] == "passed over, because the name is none of a table: read.me"


def test_where_a_column_becomes_text_the_first_such_value_is_named(backend: Backend, tmp_path: Path) -> None:
    many = "a\n" + "".join(f"{number}\n" for number in range(700_000))
    folder = written(tmp_path / "in", {"a.csv": many, "b.csv": "a\nNA\n5\nlate\n"})
    done = take(backend, folder)
    assert "kept as text: row 3 of b.csv holds 'late' where those before hold whole numbers" in notes(done)["a"]
    mixed = take(backend, written(tmp_path, {"m.csv": "a,b\nNA,x\n1,2\n2013-01-01,3\n"}) / "m.csv", "mixed")
    assert "row 3 of m.csv holds '2013-01-01' where those before hold whole numbers" in notes(mixed)["a"]
    assert "b" not in notes(mixed), "text from its first value on"
    lines = take(backend, written(tmp_path, {"m.jsonl": '{"a": 1}\n\n{"a": "x"}\n'}) / "m.jsonl", "lines")
    assert notes(lines)["a"] == "kept as text: line 3 of m.jsonl holds a JSON string where those before hold numbers"


def test_dates_in_three_styles_stay_text_and_say_so(backend: Backend, tmp_path: Path) -> None:
    text = (
        "iso,dotted,mixed\n2013-01-31,31.1.2013,2013-01-31\n2013-02-01,1.2.2013,01/02/2013\n2013-02-02,2.2.13,3.2.13\n"
    )
    done = take(backend, written(tmp_path, {"d.csv": text}) / "d.csv")
    assert [column.type.value for column in done.version.columns] == ["date", "string", "string"]
    assert "31.1.2013" in notes(done)["dotted"]
    assert "row 2 of d.csv holds '01/02/2013' where those before hold dates" in notes(done)["mixed"]


def test_parquet_files_widen_where_nothing_is_lost(backend: Backend, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    tables = [
        pa.table(
            {"n": pa.array([1], pa.int32()), "d": pa.array([None], pa.null()), "s": pa.array([None], pa.string())}
        ),
        pa.table({"n": pa.array([2.5]), "d": pa.array([7], pa.int8()), "s": pa.array(["x"])}),
        pa.table(
            {"n": pa.array([None], pa.string()), "d": pa.array([8], pa.int64()), "s": pa.array([None], pa.int64())}
        ),
    ]
    for at, table in enumerate(tables):
        pq.write_table(table, folder / f"{at}.parquet")
    done = take(backend, folder)
    assert [column.type.value for column in done.version.columns] == ["float", "int", "string"]
    assert rows(backend, done) == [
        {"n": 1.0, "d": None, "s": None},
        {"n": 2.5, "d": 7, "s": "x"},
        {"n": None, "d": 8, "s": None},
    ]


def test_nested_parquet_is_kept_and_told(backend: Backend, tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "tags": [["x"], None], "at": [{"lat": 1.5, "lon": 2.5}, None]})
    pq.write_table(table, tmp_path / "n.parquet")
    done = take(backend, tmp_path / "n.parquet")
    assert [column.type.value for column in done.version.columns] == ["int", "other", "other"]
    assert notes(done)["tags"].startswith("list<")
    assert rows(backend, done) == table.to_pylist()


def test_a_long_field_and_many_columns_come_through_whole(backend: Backend, tmp_path: Path) -> None:
    long = "x" * (2 << 20)
    done = take(backend, written(tmp_path, {"l.csv": f"a,b\n1,{long}\n2,{long}\n3,y\n"}) / "l.csv")
    assert [len(row["b"]) for row in rows(backend, done)] == [2 << 20, 2 << 20, 1]
    names = [f"column_{number}" for number in range(10_000)]
    line = ",".join(str(number) for number in range(10_000))
    wide = take(backend, written(tmp_path, {"w.csv": f"{','.join(names)}\n{line}\n{line}\n"}) / "w.csv", "wide")
    assert len(wide.version.columns) == 10_000
    assert rows(backend, wide)[1]["column_9999"] == 9999


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "utf-16-le", "shift_jis", "utf-8-sig"])
def test_another_encoding_gives_the_same_version(backend: Backend, tmp_path: Path, encoding: str) -> None:
    text = "a,b\n1,日本\n" if encoding == "shift_jis" else "a,b\n1,café\n"
    plain = take(backend, written(tmp_path, {"p.csv": text}) / "p.csv")
    other = take(backend, written(tmp_path, {"o.csv": text.encode(encoding)}) / "o.csv", encoding=encoding)
    assert other.version.ref == plain.version.ref


def test_a_delimiter_that_the_header_does_not_show_can_be_given(backend: Backend, tmp_path: Path) -> None:
    path = written(tmp_path, {"d.csv": "a,x~b\n1,2~3\n"}) / "d.csv"
    assert rows(backend, take(backend, path, delimiter="~")) == [{"a,x": "1,2", "b": 3}]


def test_rows_are_appended_behind_a_version(backend: Backend, tmp_path: Path) -> None:
    folder = written(tmp_path, {"a.csv": "a,b\n1,\n", "b.csv": "a,c\n2.5,z\n", "both.csv": "a,b,c\n1,,\n2.5,,z\n"})
    first = take(backend, folder / "a.csv")
    second = take(backend, folder / "b.csv", onto=first.version.ref)
    assert second.version.parent == first.version.ref
    assert rows(backend, second) == [{"a": 1.0, "b": None, "c": None}, {"a": 2.5, "b": None, "c": "z"}]


def test_a_link_within_the_folder_is_not_read_twice(tmp_path: Path) -> None:
    folder = written(tmp_path / "in", {"a.csv": "a\n1\n", "sub/b.csv": "a\n2\n"})
    (folder / "latest.csv").symlink_to(folder / "sub" / "b.csv")
    (folder / "again").symlink_to(folder / "sub")
    assert [part.label for part in find_parts(str(folder)).parts] == ["a.csv", "sub/b.csv"]


def test_a_link_out_of_the_folder_is_followed_if_asked(backend: Backend, tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", {"c.csv": "a\n3\n"})
    folder = written(tmp_path / "in", {"a.csv": "a\n1\n"})
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "circle").symlink_to(folder)
    assert [row["a"] for row in rows(backend, take(backend, folder, follow_links=True))] == [1, 3]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:geheim@db:5432/flights?sslpassword=x", "postgresql://ann@db:5432/flights"),
        ("postgresql://ann:ge/heim@db/flights", "postgresql://ann@db/flights"),
        ("https://h/p/a.csv?X-Amz-Signature=abc", "https://h/p/a.csv"),
        ("s3://bucket/year=20??/*.csv", "s3://bucket/year=20??/*.csv"),
        ("sqlite:///file.db", "sqlite:///file.db"),
        ("/a/b.csv", "/a/b.csv"),
    ],
)
def test_what_is_written_down_of_a_url_holds_no_secret(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/x/flights.csv.gz", "flights"),
        ("/x/flights/year=2013/*.csv", "flights"),
        ("/x/flights/", "flights"),
        ("https://h/data/flights.parquet?sig=1", "flights"),
        ("s3://bucket/flights/", "flights"),
    ],
)
def test_a_dataset_is_named_after_where_it_comes_from(target: str, name: str) -> None:
    assert origin_name(Origin(target=target)) == name

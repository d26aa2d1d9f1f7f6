"""Bad input of every kind, as a table: a message that names file, row and column, and nothing half-made."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, Refused
from backends.entities import Progress
from backends.local import open_local
from console.data import stream
from console.data.importing import import_origin
from console.data.origin import Origin

ACTOR = Mutation(actor="tester@here")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def refusal(backend: Backend, progress: Callable[[Progress], None] | None = None, **origin: Any) -> BackendError:
    """The error; nothing is left in the store or beside it."""
    assert backend.datasets is not None
    assert backend.home is not None
    staging = backend.home / "tmp"
    with pytest.raises(BackendError) as caught:
        import_origin(backend.datasets, Origin(**origin), "wrong", ACTOR, progress=progress, staging=staging)
    assert not list(staging.iterdir())
    assert not backend.datasets.page().items
    return caught.value


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


LONG = b"a,b\n" + b"1,2\n" * 400_000
CSV = b"a,b\n1,2\n"

Case = tuple[str, dict[str, bytes], dict[str, Any], type[BackendError], list[str]]
"""What it is, files of the folder `in`, more of the origin, the kind of error, words of its message."""

CASES: list[Case] = [
    ("ragged, too many", {"r.csv": b"a,b\n1,2\n3,4,5\n"}, {}, Invalid, ["r.csv", "row 2", "3 values", "'b'"]),
    ("ragged, too few", {"r.csv": b"a,b,c\n1,2,3\n4,5\n"}, {}, Invalid, ["r.csv", "row 2", "column 'c' is the first"]),
    (
        "ragged in a later file",
        {"a.csv": CSV, "sub/b.csv": CSV + b"1\n"},
        {},
        Invalid,
        ["sub/b.csv", "row 2", "column 'b'"],
    ),
    (
        "two encodings in a file",
        {"m.csv": "a,name\n1,é\n".encode() + 'x,"é\né"\n'.encode() + "2,café\n".encode("latin-1")},
        {},
        Invalid,
        ["m.csv", "row 3 (line 5), column 'name'", "0xe9", "--encoding windows-1252"],
    ),
    (
        "two encodings in JSON lines",
        {"m.jsonl": '{"a": "é"}\n'.encode() + '{"x": 1, "name": "é"}\n'.encode("latin-1")},
        {},
        Invalid,
        ["m.jsonl", "line 2, column 'name'"],
    ),
    (
        "not the encoding that is named",
        {"m.csv": b"a,b\n1,\x81\n"},
        {"encoding": "windows-1252"},
        Invalid,
        ["m.csv", "row 1, column 'b'", "byte 6 (0x81) is not cp1252"],
    ),
    ("an unknown encoding", {"m.csv": CSV}, {"encoding": "utf-9"}, Invalid, ["'utf-9' is not known"]),
    ("a NUL byte", {"n.csv": CSV + b"3,\0\n"}, {}, Invalid, ["n.csv", "row 2, column 'b'", "NUL byte at byte 10"]),
    ("a NUL byte late", {"n.csv": LONG + b"3,\0\n"}, {}, Invalid, ["row 400001, column 'b'"]),
    ("a NUL byte in JSON", {"n.jsonl": b'{"a": 1}\n{"b": "\0"}\n'}, {}, Invalid, ["n.jsonl", "line 2, column 'b'"]),
    ("duplicate names", {"d.csv": b"a,b,a\n1,2,3\n"}, {}, Invalid, ["d.csv", "'a' appears 2 times (columns 1, 3)"]),
    (
        "duplicate names in Parquet",
        {"d.parquet": parquet(a=[1])[:-8] + b"\0" * 4 + b"PAR1"},
        {},
        Invalid,
        ["d.parquet", "damaged"],
    ),
    ("a corrupt footer", {"c.parquet": parquet(a=[1])[:-4] + b"XXXX"}, {}, Invalid, ["c.parquet", "damaged"]),
    (
        "a corrupt footer in a folder",
        {"a.parquet": parquet(a=[1]), "b.parquet": parquet(a=[1])[:-30]},
        {},
        Invalid,
        ["b.parquet", "damaged"],
    ),
    ("zero rows", {"z.csv": b"a,b\n"}, {}, Invalid, ["z.csv", "a header but no row"]),
    ("zero rows everywhere", {"y.csv": b"a,b\n", "z.csv": b"a,b\n"}, {}, Invalid, ["none of its 2 files has a row"]),
    ("zero rows in Parquet", {"z.parquet": parquet(a=pa.array([], pa.int64()))}, {}, Invalid, ["z.parquet", "no row"]),
    ("an empty file", {"a.csv": CSV, "e.csv": b""}, {}, Invalid, ["e.csv is empty"]),
    ("a folder without data", {"README.md": b"hello"}, {}, Invalid, ["folder without a CSV", "README.md"]),
    ("a folder without that data", {"a.csv": CSV}, {"format": "parquet"}, Invalid, ["without a parquet file", "a.csv"]),
    (
        "two formats",
        {"a.csv": CSV, "b.parquet": parquet(a=[1])},
        {},
        Invalid,
        ["csv (1, such as a.csv)", "parquet (1, such as b.parquet)", "--format"],
    ),
    (
        "types that clash",
        {"a.parquet": parquet(n=[1], x=[1]), "b.parquet": parquet(n=[2], x=["one"])},
        {},
        Invalid,
        ["b.parquet", "column 'x' holds string, and int in a.parquet"],
    ),
    (
        "numbers no float holds",
        {"a.parquet": parquet(x=[2**60]), "b.parquet": parquet(x=[0.5])},
        {},
        Invalid,
        ["b.parquet", "column 'x'"],
    ),
    ("a tree of two shapes", {"k=1/a.csv": CSV, "b.csv": CSV}, {}, Invalid, ["not one partitioned tree", "b.csv"]),
    ("a key that is a column too", {"b=1/a.csv": CSV}, {}, Invalid, ["b=1/a.csv", "column 'b'"]),
    (
        "a column that is not there",
        {"a.csv": CSV},
        {"columns": ("a", "bb")},
        Invalid,
        ["column 'bb'", "did you mean b?"],
    ),
    (
        "a file without any column that is wanted",
        {"1.parquet": parquet(a=[1], b=[2]), "2.parquet": parquet(b=[3])},
        {"columns": ("a",)},
        Invalid,
        ["2.parquet has none of the columns a"],
    ),
    ("a delimiter of two letters", {"a.csv": CSV}, {"delimiter": "::"}, Invalid, ["one character"]),
    ("cut short gzip", {"c.csv.gz": gzip.compress(LONG)[:-9]}, {}, Invalid, ["c.csv.gz", "gzip data is damaged"]),
    (
        "cut short zstd",
        {"c.csv.zst": pa.compress(LONG, codec="zstd", asbytes=True)[:-5]},
        {},
        Invalid,
        ["c.csv.zst", "zstd data is damaged"],
    ),
    ("more than the limit", {"a.csv": LONG}, {"most": 1_000_000}, Refused, ["a.csv has more than 1,000,000 bytes"]),
    (
        "more than the limit unpacked",
        {"a.csv.gz": gzip.compress(LONG)},
        {"most": 1_000_000},
        Refused,
        ["a.csv.gz", "1,000,000 bytes unpacked", "--most"],
    ),
    ("a digest of a local file", {"a.csv": CSV}, {"sha256": "0" * 64}, Invalid, ["this is no URL"]),
]


@pytest.mark.parametrize(
    ("files", "more", "kind", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_bad_input_is_named_and_leaves_nothing(
    backend: Backend,
    tmp_path: Path,
    files: dict[str, bytes],
    more: dict[str, Any],
    kind: type[BackendError],
    words: list[str],
) -> None:
    for name, content in files.items():
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    error = refusal(backend, target=str(tmp_path / "in"), **more)
    assert type(error) is kind
    for word in words:
        assert word in str(error)


@pytest.mark.parametrize("packing", ["gzip", "zstd"])
def test_a_zip_bomb_is_refused_while_it_unpacks(
    backend: Backend, tmp_path: Path, packing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "RATIO_FROM", 4 << 20)
    rows = b"a,b\n" + b"1,2\n" * 8_000_000
    path = tmp_path / f"bomb.csv.{packing[:2]}"
    path.write_bytes(gzip.compress(rows) if packing == "gzip" else pa.compress(rows, codec="zstd", asbytes=True))
    error = refusal(backend, target=str(path), format="csv")
    assert isinstance(error, Refused)
    assert "looks like a zip bomb" in str(error)


def test_a_link_out_of_the_folder_is_refused(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(CSV)
    (tmp_path / "in" / "out.csv").symlink_to("/etc/hostname")
    for target in (tmp_path / "in", tmp_path / "in" / "*.csv"):
        error = refusal(backend, target=str(target))
        assert isinstance(error, Refused)
        assert "out.csv leads out of" in str(error)
        assert "--follow-links" in str(error)


def test_a_linked_folder_out_of_the_folder_is_refused_and_a_broken_link_told(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(CSV)
    (tmp_path / "in" / "etc").symlink_to("/etc")
    assert "etc leads out of" in str(refusal(backend, target=str(tmp_path / "in")))
    (tmp_path / "in" / "etc").unlink()
    (tmp_path / "in" / "b.csv").symlink_to("nowhere.csv")
    error = refusal(backend, target=str(tmp_path / "in"))
    assert isinstance(error, NotFound)
    assert "b.csv is a link to" in str(error)


def test_a_pipe_and_a_device_are_refused_without_being_opened(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "p.csv")
    for target in (tmp_path / "in", tmp_path / "in" / "p.csv", Path("/dev/zero")):
        assert "is a device or a pipe" in str(refusal(backend, target=str(target)))


@pytest.mark.parametrize("how", ["grown", "replaced", "removed"])
def test_a_file_that_changes_while_it_is_read_is_not_kept(backend: Backend, tmp_path: Path, how: str) -> None:
    path = tmp_path / "live.csv"
    path.write_bytes(LONG)

    def change(_: Progress) -> None:
        if how == "grown":
            with path.open("ab") as file:
                file.write(b"3,4\n")
        elif how == "removed":
            path.unlink(missing_ok=True)
        else:
            other = path.with_suffix(".new")
            other.write_bytes(LONG)
            other.replace(path)

    error = refusal(backend, change, target=str(path))
    assert "live.csv vanished" in str(error) if how == "removed" else "live.csv changed while it was read" in str(error)


def test_a_file_that_changes_between_two_readings_is_not_kept(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "live.csv"
    path.write_bytes(b"a,b\n" + LONG[4:] * 4 + b"late,1\n")

    def change(progress: Progress) -> None:
        if progress.stage.startswith("reading again"):
            path.write_bytes(b"a,b\n" + LONG[4:] * 4 + b"8888,1\n")

    assert "live.csv changed while it was read" in str(refusal(backend, change, target=str(path)))


def test_what_is_not_there_is_told(backend: Backend, tmp_path: Path) -> None:
    assert "no CSV, TSV, JSONL or Parquet file matches" in str(refusal(backend, target=str(tmp_path / "*.csv")))
    assert "there is no folder" in str(refusal(backend, target=str(tmp_path / "none" / "*.csv")))

"""Importing what is wrong: the message says what, where and what to do; nothing is kept."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, Refused
from backends.local import open_local
from console.data.importing import import_file

ACTOR = Mutation(actor="tester@here")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def refusal(backend: Backend, path: Path, format: str | None = None) -> BackendError:  # noqa: A002
    assert backend.datasets is not None
    assert backend.home is not None
    with pytest.raises(BackendError) as caught:
        import_file(backend.datasets, path, "wrong", ACTOR, format=format, staging=backend.home / "tmp")
    assert not list((backend.home / "tmp").iterdir())
    assert not backend.datasets.page().items
    return caught.value


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", ["is empty"]),
        ("header.csv", b"a,b\n", ["a header but no row"]),
        ("header.csv", b"a,b", ["a header but no row"]),
        ("blank.csv", b"\n\n", ["no column names"]),
        ("ragged.csv", b"a,b\n1,2\n3,4,5\n", ["row 2", "has 3 values, expected 2", "3,4,5"]),
        ("short.csv", b"a,b\n1\n", ["row 1", "has 1 values, expected 2"]),
        ("latin.csv", b"a,b\n1,caf\xe9\n", ["byte 9 (0xe9)", "not UTF-8", "iconv -f WINDOWS-1252"]),
        ("latin.jsonl", b'{"a": "caf\xe9"}\n', ["byte 10 (0xe9)", "not UTF-8"]),
        ("nul.csv", b"a,b\n1,\0\n", ["NUL byte at byte 6"]),
        ("utf16.csv", "a,b\n1,2\n".encode("utf-16"), ["UTF-16", "iconv -f UTF-16"]),
        ("twice.csv", b"a,b,a\n1,2,3\n", ["'a' appears 2 times", "columns 1, 3"]),
        ("spaces.csv", b"a, a\n1,2\n", ["'a' appears 2 times"]),
        ("quote.csv", b'a,b\n1,"x\n2,3\n', ["opened and never closed"]),
        ("damaged.parquet", b"PAR1 not really", ["not a Parquet file, or it is damaged"]),
        ("cut.csv.gz", gzip.compress(b"a,b\n" + os.urandom(2000).hex().encode())[:900], ["gzip data is damaged"]),
        ("line.jsonl", b'{"a": 1}\n{"a":\n', ["line 2 is not JSON"]),
        ("array.jsonl", b'{"a": 1}\n[1]\n', ["line 2 holds a JSON array", "wanted an object"]),
        ("who.knows", b"hello", ["does not say what kind of file"]),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_what_is_wrong(
    backend: Backend, tmp_path: Path, name: str, content: bytes, words: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    error = refusal(backend, path)
    assert isinstance(error, Invalid)
    assert name in str(error)
    for word in words:
        assert word in str(error)


def test_a_late_ragged_row_is_named_by_its_number(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    path.write_text("a,b\n" + "".join(f"{i},{i}\n" for i in range(700_000)) + "1,2,3\n")
    assert "row 700001" in str(refusal(backend, path))


def test_a_late_wrong_byte_is_named_by_its_offset(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "late.csv"
    start = b"a,b\n" + b"1,2\n" * 1_500_000
    path.write_bytes(start + b"1,\xfc\n")
    assert f"byte {len(start) + 2} (0xfc)" in str(refusal(backend, path))


def test_a_late_line_that_is_no_json_is_named_by_its_number(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "late.jsonl"
    path.write_text('{"a": 1, "b": "text"}\n' * 300_000 + "{oops}\n")
    assert "line 300001" in str(refusal(backend, path))


def test_a_missing_file_and_a_folder_are_told_apart(backend: Backend, tmp_path: Path) -> None:
    assert isinstance(refusal(backend, tmp_path / "none.csv"), NotFound)
    assert "is a folder" in str(refusal(backend, tmp_path))


def test_a_damaged_page_within_a_parquet_file_is_told(backend: Backend, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "bad.parquet"
    pq.write_table(pa.table({"a": list(range(100_000))}), path, write_page_checksum=True)
    data = bytearray(path.read_bytes())
    data[200:4000] = b"\xff" * 3800
    path.write_bytes(data)
    assert "damaged" in str(refusal(backend, path))


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    script = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from console.data.stream import require_file\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "try: require_file(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and len(folder.parts) > 2:
            folder.chmod(folder.stat().st_mode | 0o055)
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Refused no permission to read"), done


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "".join(f"{i * 7919 % 1_000_003},{os.urandom(8).hex()}\n" for i in range(200_000)))
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from backends.contract import Mutation\n"
        "from backends.local import open_local\n"
        "from console.data.importing import import_file\n"
        "home = Path(sys.argv[1])\n"
        "store = open_local(home / 'ws')\n"
        "try: import_file(store.datasets, Path(sys.argv[2]), 'long', Mutation(actor='a'), staging=home / 'small')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
        "print('left', list((home / 'small').iterdir()), 'kept', len(store.datasets.page().items))\n"
    )
    small = tmp_path / "small"
    small.mkdir()
    mount = f'mount -t tmpfs -o size=1m none {small} && exec {sys.executable} -c "$0" {tmp_path} {path}'
    done = subprocess.run(["unshare", "-rm", "sh", "-c", mount, script], capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr or "unshare" in done.stderr:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    assert done.stdout.startswith("Refused the disk is full: no room to keep long.csv"), done
    assert "left [] kept 0" in done.stdout


def test_a_workspace_that_may_not_be_written_is_refused(backend: Backend, tmp_path: Path) -> None:
    path = tmp_path / "fine.csv"
    path.write_text("a\n1\n")
    assert backend.datasets is not None
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises((Refused, Invalid), match="Nothing was kept"):
        import_file(backend.datasets, path, "fine", ACTOR, staging=blocked / "under")

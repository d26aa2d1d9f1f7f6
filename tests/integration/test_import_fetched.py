"""A file from a URL or a bucket: whole or not at all, resumed where the server lets it, within its limit."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, BackendError, Invalid, Mutation, NotFound, Refused, Unauthorized, Unreachable
from backends.local import open_local
from console.data import fetched
from console.data.importing import Imported, import_origin
from console.data.origin import Origin
from tests.ports import free_port

ACTOR = Mutation(actor="tester@here")
CSV = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n % 7) for n in range(200_000))
SHA256 = hashlib.sha256(CSV).hexdigest()


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setattr(fetched, "PAUSE_S", 0.0)
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


class Site(BaseHTTPRequestHandler):
    """Gives CSV. `server.mood` says how: it breaks off, forgets, changes, refuses."""

    server: Any

    def do_GET(self) -> None:
        self.server.asked.append(dict(self.headers))
        mood, count = self.server.mood, len(self.server.asked)
        if mood.isdigit():
            self.send_response(int(mood))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if mood == "moved" and self.path != "/elsewhere.csv":
            self.send_response(302)
            self.send_header("Location", "/elsewhere.csv" if count < 3 else "/again.csv")
            self.end_headers()
            return
        data = CSV.replace(b",6", b",9") if mood == "changing" and count > 1 else CSV
        etag = f'"{hashlib.sha256(data).hexdigest()[:8]}"'
        start = 0
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if found and mood != "forgetful" and self.headers.get("If-Range") == etag:
            start = int(found[1])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        if mood != "chunked":
            self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", etag)
        self.end_headers()
        breaks = mood in ("breaking", "forgetful", "changing") and count < 3
        self.wfile.write(data[start : start + 100_000] if breaks or mood == "never" else data[start:])

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def site(mood: str = "") -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", free_port()), Site)
    server.mood, server.asked = mood, []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def take(backend: Backend, target: str, **more: Any) -> Imported:
    assert backend.datasets is not None
    assert backend.home is not None
    try:
        return import_origin(
            backend.datasets, Origin(target=target, **more), "web", ACTOR, staging=backend.home / "tmp"
        )
    finally:
        assert not list((backend.home / "tmp").iterdir())


@pytest.mark.parametrize("mood", ["", "chunked", "breaking", "forgetful", "moved"])
def test_a_file_is_fetched_whole(backend: Backend, mood: str) -> None:
    with site(mood) as server:
        done = take(backend, f"{server.url}/flights.csv?sig=geheim", sha256=SHA256.upper())
    assert done.version.rows == 200_000
    assert done.version.source == f"{server.url}/flights.csv", "without what may be a signature"
    ranges = [asked.get("Range") for asked in server.asked]
    if mood == "breaking":
        assert ranges == [None, "bytes=100000-", "bytes=200000-"], "it goes on from where it was"


def test_a_file_that_changes_meanwhile_is_fetched_from_its_start(backend: Backend) -> None:
    with site("changing") as server:
        done = take(backend, f"{server.url}/flights.csv")
    assert [column.name for column in done.version.columns] == ["a", "b"]
    assert backend.datasets is not None
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(backend.datasets.path(done.version.ref))
    assert table.num_rows == 200_000
    assert pc.max(table["b"]).as_py() == 9, "none of the file before it"


@pytest.mark.parametrize(
    ("mood", "kind"),
    [
        ("404", NotFound),
        ("401", Unauthorized),
        ("403", Unauthorized),
        ("500", Unreachable),
        ("418", Refused),
        ("never", Unreachable),
    ],
)
def test_a_refusal_is_told_and_nothing_is_kept(backend: Backend, mood: str, kind: type[BackendError]) -> None:
    with site(mood) as server, pytest.raises(kind) as caught:
        take(backend, f"{server.url}/flights.csv?sig=geheim")
    assert f"{server.url}/flights.csv" in str(caught.value)
    assert "geheim" not in str(caught.value)
    assert not backend.need("datasets").page().items


def test_another_digest_and_too_large_a_file_are_refused(backend: Backend) -> None:
    with site() as server:
        with pytest.raises(Invalid, match=f"its sha256 is {SHA256}"):
            take(backend, f"{server.url}/flights.csv", sha256="0" * 64)
        with pytest.raises(Refused, match="1,000,000 is the limit"):
            take(backend, f"{server.url}/flights.csv", most=1_000_000)
        server.mood = "chunked"
        with pytest.raises(Refused, match="1,000,000 is the limit"):
            take(backend, f"{server.url}/flights.csv", most=1_000_000)
        with pytest.raises(Invalid, match="64 hexadecimal digits"):
            take(backend, f"{server.url}/flights.csv", sha256="abc")


def test_a_server_that_is_not_there_is_told(backend: Backend) -> None:
    with site() as server:
        url = server.url
    with pytest.raises(Unreachable, match="nothing was kept"):
        take(backend, f"{url}/flights.csv")


# ---------------------------------------------------------------- buckets


@pytest.fixture
def bucket() -> Iterator[Any]:
    fsspec = pytest.importorskip("fsspec", reason="comes with the extra cloud")
    memory = fsspec.filesystem("memory")
    for month in (1, 2):
        memory.pipe(f"/flights/year=2013/month={month}/p.csv", b"a\n%d\n" % month)
    memory.pipe("/flights/README.md", b"hello")
    yield memory
    memory.rm("/flights", recursive=True)


@pytest.mark.parametrize(
    ("url", "rows", "columns"),
    [
        ("memory://flights/", 2, ["a", "year", "month"]),
        ("memory://flights", 2, ["a", "year", "month"]),
        ("memory://flights/year=2013/*/p.csv", 2, ["a", "month"]),
        ("memory://flights/year=2013/month=1/p.csv", 1, ["a"]),
    ],
)
def test_a_bucket_is_read_like_a_folder(backend: Backend, bucket: Any, url: str, rows: int, columns: list[str]) -> None:
    done = take(backend, url)
    assert done.version.rows == rows
    assert [column.name for column in done.version.columns] == columns
    assert done.version.source == url


def test_what_a_bucket_does_not_have_is_told(backend: Backend, bucket: Any) -> None:
    with pytest.raises(NotFound, match="there is nothing at memory:"):
        take(backend, "memory://flights/none.csv")
    with pytest.raises(NotFound, match="there is no file at"):
        take(backend, "memory://flights/*.parquet")
    bucket.pipe("/flights/big.csv", b"a\n" + b"1\n" * 10)
    with pytest.raises(Refused, match="10 is the limit"):
        take(backend, "memory://flights/big.csv", most=10)


def test_a_bucket_without_the_extra_says_what_to_install(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.partition(".")[0] == "fsspec"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(BackendError, match=r"pip install 'mlops-console\[cloud\]'"):
        take(backend, "s3://bucket/x.csv")

"""Backup while running, the way back, and what the doctor finds."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from backends.contract import Backend, Conflict, Invalid, Mutation, Unreachable
from backends.entities.holdings import Going, Part
from backends.local import DATABASE, open_local
from backends.local.backup import back_up, check_backup, restore
from backends.local.probe import Health, probe

ANN = Mutation("ann@box")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    backend = open_local(tmp_path / "w")
    run = backend.need("runs").create(name="a", mutation=ANN).id
    for number in range(3):
        file = tmp_path / f"f{number}"
        file.write_bytes(b"content %d" % number * 100)
        backend.need("artifacts").put(run, f"f{number}", file)
    file = tmp_path / "d"
    file.write_bytes(b"dataset")
    backend.need("datasets").add("d", file, digest="d" * 64, rows=1, columns=[], source="s", mutation=ANN)
    backend.close()
    return tmp_path / "w"


def test_a_backup_of_a_busy_workspace_is_whole(home: Path, tmp_path: Path) -> None:
    backend = open_local(home)
    runs = backend.need("runs")
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            runs.create(name="busy", mutation=ANN)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        told: list[tuple[int, int]] = []
        manifest = back_up(home, tmp_path / "backup", progress=lambda done, total: told.append((done, total)))
    finally:
        stop.set()
        writer.join()
    assert told[-1] == (4, 4)
    assert check_backup(tmp_path / "backup") == manifest
    restore(tmp_path / "backup", tmp_path / "again")
    copy = open_local(tmp_path / "again")
    total = copy.need("runs").count().value
    assert 1 <= total <= runs.count().value
    assert copy.need("journal").verify() == (total + 1, "")
    first = copy.need("runs").page(at="$", limit=1).items[0]
    assert copy.need("artifacts").open(first.id, "f1").read_bytes() == b"content 1" * 100
    assert copy.need("datasets").path("d").read_bytes() == b"dataset"
    copy.close()
    backend.close()


def test_nothing_is_overwritten(home: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(Conflict):
        back_up(home, tmp_path / "there")
    back_up(home, tmp_path / "backup")
    with pytest.raises(Conflict):
        restore(tmp_path / "backup", home)


def test_a_damaged_backup_is_not_restored(home: Path, tmp_path: Path) -> None:
    back_up(home, tmp_path / "backup")
    victim = next(file for file in (tmp_path / "backup" / "objects").rglob("*") if file.is_file())
    victim.chmod(0o600)
    victim.write_bytes(b"other")
    with pytest.raises(Unreachable, match="damaged"):
        restore(tmp_path / "backup", tmp_path / "again")
    assert not (tmp_path / "again" / DATABASE).exists()
    with pytest.raises(Invalid):
        check_backup(tmp_path)


def test_a_missing_object_stops_the_backup_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    next(file for file in (home / "objects").rglob("*") if file.is_file()).unlink()
    with pytest.raises(Unreachable, match="missing"):
        back_up(home, tmp_path / "backup")
    assert not list(tmp_path.glob("backup*"))


def health(home: Path, *, thorough: bool = False) -> dict[str, Health]:
    return {finding.check: finding.health for finding in probe(home, thorough=thorough)}


def test_a_sound_workspace_passes_every_check(home: Path) -> None:
    found = health(home, thorough=True)
    assert set(found) == {"disk space", "permissions", "writable", "integrity", "journal", "objects"}
    assert {state for check, state in found.items() if check != "disk space"} == {Health.OK}


def test_the_probe_finds_open_doors_lost_and_damaged_files(home: Path) -> None:
    home.chmod(0o755)
    files = [file for file in (home / "objects").rglob("*") if file.is_file()]
    files[0].chmod(0o600)
    files[0].write_bytes(b"other")
    found = health(home, thorough=True)
    assert (found["permissions"], found["objects"]) == (Health.WARN, Health.FAIL)
    assert health(home)["objects"] is Health.OK
    files[1].unlink()
    assert health(home)["objects"] is Health.FAIL


def test_the_probe_speaks_of_broken_and_absent_stores(home: Path, tmp_path: Path) -> None:
    assert health(tmp_path / "none") == {"store": Health.WARN}
    (home / DATABASE).write_bytes(b"garbage" * 1000)
    assert health(home)["store"] is Health.FAIL


def test_the_probe_finds_a_tampered_journal(home: Path) -> None:
    with sqlite3.connect(home / DATABASE) as connection:
        connection.execute("DROP TRIGGER journal_unchanged")
        connection.execute("UPDATE journal SET actor = 'mallory'")
    assert health(home)["journal"] is Health.FAIL


def clean(backend: Backend, idle_s: float = 3600.0) -> int:
    """Bytes given back by taking away all that is left over."""
    retention = backend.need("retention")
    left = retention.holdings(idle_s=idle_s).leftovers
    going = [Going(part=Part.LEFTOVER, target=each.path, bytes=each.bytes) for each in left]
    freed = retention.remove(going, ANN, idle_s=idle_s)
    assert not freed.left
    return freed.bytes


def test_cleaning_removes_what_nothing_names_and_keeps_the_rest(home: Path, tmp_path: Path) -> None:
    backend = open_local(home)
    run = backend.need("runs").page(limit=1).items[0].id
    file = tmp_path / "replacement"
    file.write_bytes(b"new")
    backend.need("artifacts").put(run, "f0", file)
    (home / "tmp" / "object-1-dead").write_bytes(b"half")
    (home / "tmp" / "import-dead").mkdir()
    (home / "tmp" / "import-dead" / "first.parquet").write_bytes(b"half")
    assert len([file for file in (home / "objects").rglob("*") if file.is_file()]) == 5
    assert clean(backend) == 0
    assert len([file for file in (home / "objects").rglob("*") if file.is_file()]) == 5, "too young to be left over"
    assert len(list((home / "tmp").iterdir())) == 2
    assert clean(backend, idle_s=-1) > 0
    assert len([file for file in (home / "objects").rglob("*") if file.is_file()]) == 4
    assert list((home / "tmp").iterdir()) == []
    assert backend.need("artifacts").open(run, "f0").read_bytes() == b"new"
    assert backend.need("runs").count().value == 1
    backend.close()

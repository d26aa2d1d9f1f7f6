"""The scorer as a process: files land in a folder, windows appear; bad files, new champions and signals on the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.contract import Backend
from console.monitoring.create import create_monitor
from console.monitoring.feeds.batch_log import BatchRecord, recent_batches
from console.monitoring.folder import monitor_folder
from tests.monitored import FEATURES, WHO, deliveries, register, traffic, until

ROOT = Path(__file__).parents[2]


class Rig:
    """A workspace with a champion, a watched folder and a running scorer."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.backend: Backend = deliveries(home / "workspace")
        self.inbox = home / "inbox"
        self.inbox.mkdir()
        create_monitor(
            self.backend,
            "live",
            "deliveries",
            mutation=WHO,
            source=str(self.inbox),
            time_column="at",
            label_column="late",
            id_column="id",
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "console.monitoring.scorer"),
                *("--workspace", str(self.home / "workspace"), "--monitor", "live"),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        until(lambda: "scoring with" in self.log(), what="the scorer's start")
        return self.process

    def log(self) -> str:
        path = monitor_folder(self.backend, "live") / "scorer.log"
        return path.read_text() if path.exists() else ""

    def drop(self, name: str, text: str) -> None:
        """As careful writers do: whole under another name, then renamed."""
        fresh = self.home / f"{name}.writing"
        fresh.write_text(text)
        time.sleep(0.01)
        fresh.rename(self.inbox / name)

    def record(self, name: str) -> BatchRecord | None:
        records = recent_batches(monitor_folder(self.backend, "live"))
        return next((record for record in records if record.file == name), None)

    def wait(self, name: str) -> BatchRecord:
        found: BatchRecord = until(lambda: self.record(name), what=f"the record of {name}")
        return found

    def end(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(120)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == b"", "a scorer speaks to no terminal"
        self.process = None
        return code

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        self.backend.close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.close()


def csv(rows: int, seed: int, day: str = "2024-03-01", **changes: float) -> str:
    return traffic(rows, seed, day=day, **changes).to_csv(index=False)


def test_a_file_becomes_a_window_by_itself_and_only_once(rig: Rig) -> None:
    rig.start()
    rig.drop("warm.csv", csv(50, 1))
    rig.wait("warm.csv")
    for number in range(3):
        text = csv(1000, 10 + number, f"2024-03-0{number + 2}")
        rig.drop(f"day{number}.csv", text)
        until(lambda n=number: rig.backend.need("monitors").get("live").windows == n + 2, what="the window")
    rig.drop("again.csv", csv(1000, 10, "2024-03-02"))
    assert rig.wait("again.csv").state == "duplicate"
    assert rig.backend.need("monitors").get("live").rows == 3050
    assert rig.end() == 0
    rig.start()
    rig.drop("after.csv", csv(10, 77, "2024-03-09"))
    assert rig.wait("after.csv").state == "stored"
    assert rig.backend.need("monitors").get("live").rows == 3060


def test_bad_files_are_recorded_with_their_reason_and_the_next_good_one_is_taken(rig: Rig) -> None:
    rig.start()
    rig.drop("a-empty.csv", "")
    os.utime(rig.inbox / "a-empty.csv", (1, 1))
    rig.drop("b-ragged.csv", "at,weight\n2024-03-01,1,2,3\n")
    rig.drop("c-foreign.csv", "x,y\n1,2\n")
    rig.drop("d-binary.parquet", "not parquet at all")
    rig.drop("e-notime.csv", traffic(20, 3).drop(columns="at").to_csv(index=False))
    (rig.inbox / ".hidden.csv").write_text(csv(5, 1))
    (rig.inbox / "half.csv.tmp").write_text(csv(5, 1))
    rig.drop("z-good.csv", csv(100, 2))
    assert rig.wait("z-good.csv").state == "stored"
    wanted = {
        "a-empty.csv": "is empty",
        "b-ragged.csv": "cannot be read",
        "c-foreign.csv": "none of the 3 columns",
        "d-binary.parquet": "cannot be read",
        "e-notime.csv": "no column 'at'",
    }
    for name, reason in wanted.items():
        record = rig.wait(name)
        assert record.state == "failed"
        assert reason in record.reason
    assert rig.record(".hidden.csv") is None
    assert rig.record("half.csv.tmp") is None
    assert rig.backend.need("monitors").get("live").rows == 100
    assert rig.end() == 0


def test_a_new_champion_is_loaded_and_a_damaged_one_leaves_the_old_at_work(rig: Rig) -> None:
    rig.start()
    rig.drop("one.csv", csv(100, 1, "2024-03-01"))
    assert rig.wait("one.csv").version == "1"
    train, held = traffic(2000, 500), traffic(1000, 501)
    data = (train[FEATURES], train["late"].to_numpy(), held[FEATURES], held["late"].to_numpy())
    register(rig.backend, rig.home / "second", "deliveries", *data, iterations=20)
    rig.drop("two.csv", csv(100, 2, "2024-03-02"))
    assert rig.wait("two.csv").version == "2"
    third = register(rig.backend, rig.home / "third", "deliveries", *data, iterations=10)
    model = rig.backend.need("artifacts").open(third.run, "model/model.skops")
    model.chmod(0o600)
    model.write_bytes(b"damaged" + model.read_bytes()[7:])
    rig.drop("three.csv", csv(100, 3, "2024-03-03"))
    assert rig.wait("three.csv").version == "2"
    assert "v3 could not be loaded" in rig.log()
    assert "v2 goes on scoring" in rig.log()
    versions = [window.model_version for window in rig.backend.need("monitors").windows("live")]
    assert versions == ["1", "2", "2"]


def test_a_paused_monitor_ends_its_scorer(rig: Rig) -> None:
    from console.monitoring.create import pause_monitor

    process = rig.start()
    pause_monitor(rig.backend, "live", WHO)
    assert process.wait(120) == 0
    assert "paused" in rig.log()

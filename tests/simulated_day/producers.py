"""Who sends rows and labels on the day. Each notes in the ledger what it sent, and nothing of how it is counted."""

from __future__ import annotations

import gzip
import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from backends.local.protocol_access import living_server, token_for
from tests.simulated_day.ledger import HOUR, Chance, Ledger, Row
from tests.simulated_day.spelling import csv_text, json_lines, label_csv, parquet_bytes, write_whole


class Log:
    """A service that logs JSON lines: appended to in pieces that end anywhere, rotated, copied and cut, packed."""

    def __init__(self, folder: Path, chance: Chance) -> None:
        self._path = folder / "app.jsonl"
        self._chance = chance
        self._half = ""
        self._turns = 0

    def send(self, rows: Sequence[Row]) -> None:
        for row in rows:
            row.told = row.id is not None and not row.early and self._chance.yes(0.3)
        text = self._half + "".join(line + "\n" for line in json_lines(rows, self._chance, styles=(0, 1, 3), told=True))
        cut = len(text) - int(self._chance.rng.integers(0, 120)) if self._chance.yes(0.5) else len(text)
        with self._path.open("a") as file:
            file.write(text[:cut])
        self._half = text[cut:]

    def turn(self) -> None:
        """Rotate: by a new name and a new file, or by a copy."""
        self._finish()
        self._turns += 1
        first, second = self._path.with_name("app.jsonl.1"), self._path.with_name("app.jsonl.2")
        if first.exists():
            first.rename(second)
            packed = gzip.compress(second.read_bytes())
            target = self._path.with_name(f"old-{self._turns}.jsonl.gz")
            with target.open("wb") as file:  # as gzip does: the file grows under its name
                file.write(packed[: len(packed) // 2])
                file.flush()
                time.sleep(0.05)
                file.write(packed[len(packed) // 2 :])
            second.unlink()
        if self._turns % 2:
            self._path.rename(first)
        else:
            shutil.copy(self._path, first)
            with self._path.open("r+") as file:
                file.truncate()

    def spoil(self) -> None:
        """A line that is none, behind good ones."""
        self._finish()
        with self._path.open("a") as file:
            file.write('{"id": 17, "weight"\n')

    def _finish(self) -> None:
        with self._path.open("a") as file:
            file.write(self._half)
        self._half = ""

    end = _finish


class Table:
    """A job that writes a CSV an hour, row by row, whose clock goes back with summer time. Copies of it turn up."""

    def __init__(self, folder: Path, chance: Chance, ledger: Ledger) -> None:
        self._folder = folder
        self._chance = chance
        self._ledger = ledger
        self._path: Path | None = None
        self._half = ""
        self._rename = ""
        self._count = 0

    def begin(self, hour: int, *, rename: str = "") -> None:
        self.end()
        self._rename = rename
        self._path = self._folder / f"orders-{hour:02d}.csv"
        self._half = csv_text([], rename=rename)
        self._ledger.files += 1

    def send(self, rows: Sequence[Row]) -> None:
        assert self._path is not None
        if self._rename:
            for row in rows:
                row.distance, row.scored = None, False
        self._half += csv_text(rows, style=1, rename=self._rename, header=False)
        cut = len(self._half) - int(self._chance.rng.integers(0, 60)) if self._chance.yes(0.5) else len(self._half)
        with self._path.open("a") as file:
            file.write(self._half[: max(cut, 0)])
        self._half = self._half[max(cut, 0) :]

    def copy(self) -> None:
        """As it is at this moment, whole lines or not, under another name: it ends with whole ones alone."""
        assert self._path is not None
        if not self._path.exists():
            return
        text = self._path.read_text()
        self._count += 1
        write_whole(self._folder / f"backup-{self._count}.csv", text[: text.rfind("\n") + 1].encode())
        self._ledger.duplicates += 1

    def end(self) -> None:
        if self._path is None:
            return
        with self._path.open("a") as file:
            file.write(self._half)
        self._half = ""


class Batches:
    """A nightly kind of job that runs all day: Parquet files, whole by a rename or written in two goes."""

    def __init__(self, folder: Path, chance: Chance, ledger: Ledger) -> None:
        self._folder = folder
        self._chance = chance
        self._ledger = ledger
        self._count = 0
        self._open: tuple[Path, bytes] | None = None

    def send(self, rows: Sequence[Row]) -> None:
        self.end()
        self._count += 1
        self._ledger.files += 1
        data = parquet_bytes(rows)
        path = self._folder / f"batch-{self._count:03d}.parquet"
        if self._chance.yes(0.3):
            path.write_bytes(data[: len(data) // 2])
            self._open = path, data[len(data) // 2 :]
            return
        write_whole(path, data)
        if self._chance.yes(0.3):
            self._ledger.duplicates += 1
            write_whole(self._folder / f"again-{self._count:03d}.parquet", data)

    def end(self) -> None:
        if self._open is not None:
            path, rest = self._open
            with path.open("ab") as file:
                file.write(rest)
            self._open = None


class Web:
    """A client of the agent's HTTP endpoint: keyed, one request after the other, sent again until it is accepted."""

    def __init__(self, workspace: Path, monitor: str, ledger: Ledger) -> None:
        self._workspace = workspace
        self._url = f"/monitors/{monitor}"
        self._ledger = ledger
        self._waiting: queue.Queue[tuple[str, bytes, str] | None] = queue.Queue()
        self._count = 0
        self._heard = "nothing yet"
        self._wrong: Exception | None = None
        self.again = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def post(self, what: str, body: str) -> None:
        self._count += 1
        self._waiting.put((what, body.encode(), f"{what}-{self._count}"))

    def _run(self) -> None:
        try:
            self._send_all()
        except Exception as wrong:
            self._wrong = wrong

    def _send_all(self) -> None:
        with httpx.Client(timeout=60) as client:
            while (asked := self._waiting.get()) is not None:
                what, body, key = asked
                while not self._accepted(client, what, body, key):
                    self.again += 1
                    time.sleep(0.1)
                self._ledger.requests += 1
                if self._count % 5 == 0:  # a client that did not hear the answer
                    self._accepted(client, what, body, key)
                    self._ledger.duplicates += 1

    def _accepted(self, client: httpx.Client, what: str, body: bytes, key: str) -> bool:
        server = living_server(self._workspace)
        if server is None:
            self._heard = "no agent serves"
            return False
        headers = {"Authorization": f"Bearer {token_for(self._workspace)}", "Idempotency-Key": key}
        try:
            answer = client.post(f"{server.url}{self._url}/{what}", content=body, headers=headers)
        except httpx.HTTPError as wrong:
            self._heard = f"{type(wrong).__name__}: {wrong}"
            return False
        self._heard = f"{answer.status_code} {answer.text}"
        assert answer.status_code in (202, 503, 507), answer.text
        return answer.status_code == 202

    def end(self, patience: float) -> None:
        self._waiting.put(None)
        self._thread.join(patience)
        if self._wrong is not None:
            raise self._wrong
        assert not self._thread.is_alive(), f"requests were never accepted; heard last: {self._heard}"


class Pipe:
    """`producer | mlops-console monitor ingest NAME -`, open all day."""

    def __init__(self, workspace: Path, monitor: str, chance: Chance) -> None:
        self._chance = chance
        self._process = subprocess.Popen(
            [sys.executable, "-m", "console.launch", "--workspace", str(workspace), "monitor", "ingest", monitor, "-"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    def send(self, rows: Sequence[Row]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(
            "".join(f"{line}\n" for line in json_lines(rows, self._chance, styles=(2, 4))).encode()
        )
        self._process.stdin.flush()

    def end(self, patience: float) -> None:
        _, complaint = self._process.communicate(timeout=patience)
        assert self._process.returncode == 0, complaint.decode()


class Labels:
    """The truth, hours later or ahead of its row; each id by one way, a wrong word first for some, and all of it
    twice."""

    def __init__(self, folder: Path, web: Web, chance: Chance, ledger: Ledger) -> None:
        self._folder = folder
        self._web = web
        self._chance = chance
        self._ledger = ledger
        self._due: list[tuple[int, int, str]] = []
        self._count = 0

    def expect(self, rows: Sequence[Row], now: int) -> None:
        rng = self._chance.rng
        for row in rows:
            if row.id is None or row.at is None or row.told or row.early or self._chance.yes(0.15):
                continue
            due = now + int(rng.exponential(2 * HOUR))
            if self._chance.yes(0.05):
                self._due.append((due, row.id, "no" if row.late == "yes" else "yes"))
                due += HOUR
            self._due.append((due, row.id, row.late))

    def send(self, now: int) -> None:
        """What is due by now, mixed."""
        ready = [each for each in self._due if each[0] <= now]
        self._due = [each for each in self._due if each[0] > now]
        ready.sort()
        for number, late in self._latest(ready).items():
            self._ledger.labels[number] = late
        for way in range(3):
            mine = [(number, late) for _, number, late in ready if number % 3 == way]
            if mine:
                (self._csv, self._table, self._post)[way](mine)

    def early(self, rows: Sequence[Row]) -> None:
        """Ahead of their rows."""
        mine = [(row.id, row.late) for row in rows if row.id is not None and row.at is not None]
        for row in rows:
            row.early = True
        self._ledger.labels.update(mine)
        if mine:
            self._csv(mine)

    def flush(self) -> None:
        self.send(1 << 62)

    def _latest(self, ready: list[tuple[int, int, str]]) -> dict[int, str]:
        return {number: late for _, number, late in ready}

    def _csv(self, labels: list[tuple[int, str]]) -> None:
        self._count += 1
        self._ledger.files += 1
        text = label_csv(labels)
        write_whole(self._folder / self._name("csv"), text.encode())
        if self._chance.yes(0.2):
            self._ledger.duplicates += 1
            write_whole(self._folder / self._name("copy.csv"), text.encode())

    def _table(self, labels: list[tuple[int, str]]) -> None:
        import pandas as pd

        self._count += 1
        self._ledger.files += 1
        frame = pd.DataFrame({"id": [number for number, _ in labels], "late": [late for _, late in labels]})
        fresh = self._folder / "labels.part"
        frame.to_parquet(fresh, index=False)
        fresh.rename(self._folder / self._name("parquet"))

    def _post(self, labels: list[tuple[int, str]]) -> None:
        self._web.post("labels", json.dumps([{"id": number, "late": late} for number, late in labels]))

    def _name(self, suffix: str) -> str:
        """Names say nothing of the order."""
        return f"labels-{int(self._chance.rng.integers(1 << 40)):010x}-{self._count}.{suffix}"

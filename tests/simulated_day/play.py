"""The day, played: `python -m tests.simulated_day.play FOLDER [--seed N]` says as JSON what was done and what differs.
FOLDER/disk is where the workspace is made: a small disk of its own where it is to be full at times."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backends.contract import Backend
from backends.entities import Segment
from backends.local.database import Database
from console.agent import agent_log, ensure_agent, stop_agent
from console.monitoring.counted.counts import unpack
from console.monitoring.create import create_monitor
from console.monitoring.feeds.champion import load_champion
from console.monitoring.feeds.handing import waiting_files
from console.monitoring.feeds.in_hand import read_in_hand
from console.monitoring.feeds.sample import OWN, read_sample
from console.monitoring.folder import monitor_folder
from console.monitoring.ranges import STRETCHES
from console.monitoring.rolled import kept_stretches, level_name
from tests.monitored import WHO, deliveries
from tests.simulated_day.faults import Faults
from tests.simulated_day.ledger import HOUR, NOON, Chance, Ledger, Row
from tests.simulated_day.producers import Batches, Labels, Log, Pipe, Table, Web
from tests.simulated_day.recount import SEGMENTS, Recount, expected, frame_of, reference

MINUTE = 60_000
LENGTHS = {"minute": 60_000, "hour": HOUR}
SEGMENTED = (Segment(name="far", where="distance > 300"), Segment(name="ups", where="carrier = ups"))


@dataclass(frozen=True)
class Plan:
    seed: int = 1
    hours: int = 24
    seconds: float = 60.0
    rows: int = 10
    """Of each producer, each tick."""
    tick: int = 5
    """Minutes."""
    kills: int = 10
    full: int = 1
    fine: bool = False
    """A second monitor that counts the same files by minutes."""
    settle: float = 90.0


class Day:
    """A workspace with a trained model and an agent, the producers, the faults."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.plan = plan
        self.workspace = folder / "disk" / "workspace"
        self.dropped = folder / "dropped"
        self.dropped.mkdir()
        self.backend: Backend = deliveries(self.workspace)
        self.monitors = {"live": "hour", **({"fine": "minute"} if plan.fine else {})}
        for name, window in self.monitors.items():
            create_monitor(
                self.backend, name, "deliveries", mutation=WHO, source=str(self.dropped), time_column="at",
                id_column="id", label_column="late", window=window, segments=SEGMENTED, protected=("carrier",),
            )  # fmt: skip
        self.ledger = Ledger(rows={name: [] for name in self.monitors})
        self.faults = Faults(
            self.workspace, plan.seed, kills=plan.kills, full=plan.full, seconds=plan.seconds,
            disk=folder / "disk" if plan.full else None,
        )  # fmt: skip

    def play(self) -> dict[str, Any]:
        ensure_agent(self.workspace)
        self.faults.start()
        began = time.monotonic()
        self._traffic()
        played = time.monotonic() - began
        self.faults.end()
        self.faults.revive()
        differences = self._settled()
        self.faults.look()
        told = self._told()
        told |= {"played_s": round(played, 1), "settled_s": round(time.monotonic() - began - played, 1)}
        return told | {"differences": differences}

    def _traffic(self) -> None:
        plan, ledger, chance = self.plan, self.ledger, Chance(self.plan.seed)
        web = Web(self.workspace, "live", ledger)
        log, table = Log(self.dropped, chance), Table(self.dropped, chance, ledger)
        batches, pipe = Batches(self.dropped, chance, ledger), Pipe(self.workspace, "live", chance)
        labels = Labels(self.dropped, web, chance, ledger)
        length = plan.tick * MINUTE
        ticks = plan.hours * HOUR // length
        began = time.monotonic()
        for tick in range(ticks):
            now = NOON + tick * length
            hour = tick * length // HOUR
            back = HOUR if hour >= 13 else 0  # a clock that went back with summer time and says nothing of it
            ahead = HOUR if 8 <= hour < 10 else 0
            if now % HOUR == 0:
                table.begin(hour, rename="distances" if 17 <= hour < 19 else "")
                if hour % 3 == 2:
                    log.turn()
            ours: dict[Any, list[Row]] = {
                log: chance.rows(plan.rows, now), table: chance.rows(plan.rows, now - back),
                web: chance.rows(plan.rows, now + ahead), pipe: chance.rows(plan.rows, now),
            }  # fmt: skip
            if now % (HOUR // 2) == 0:
                mine = chance.rows(2 * plan.rows, now)
                for row in mine:  # a typed column holds no text
                    row.at = row.at if row.at is not None else now
                    if isinstance(row.weight, str):
                        row.weight = None
                ours[batches] = mine
            if chance.yes(0.1):
                labels.early(ours[log])
            for who, rows in ours.items():
                if who is web:
                    from tests.simulated_day.spelling import json_lines

                    web.post("rows", "\n".join(json_lines(rows, chance, styles=(4, 0))))
                else:
                    who.send(rows)
                for name in self.monitors:
                    if name == "live" or who not in (web, pipe):
                        ledger.rows[name] += rows
                labels.expect(rows, now)
            if chance.yes(0.05):
                table.copy()
            if chance.yes(0.02):
                log.spoil()
            labels.send(now)
            left = began + (tick + 1) * plan.seconds / ticks - time.monotonic()
            time.sleep(max(left, 0))
        for each in (log, table, batches):
            each.end()
        log.send(chance_rows := chance.rows(1, NOON + plan.hours * HOUR))
        log.end()
        for name in self.monitors:
            ledger.rows[name] += chance_rows
        labels.flush()
        web.end(plan.settle)
        pipe.end(plan.settle)
        self.again = web.again

    # ------------------------------------------------------------ what came of it

    def _settled(self) -> list[str]:
        """What differs from the recount once everything is counted, or once the patience is over."""
        champion = load_champion(self.backend, self.backend.need("monitors").get("live"))
        place = self.backend.need("artifacts").open(champion.version.run, "model/reference.json")
        recount = Recount(reference(place), champion.model)
        wanted = {name: expected(self.ledger, name, recount, LENGTHS[kind]) for name, kind in self.monitors.items()}
        until = time.monotonic() + self.plan.settle
        while True:
            found = [each for name in self.monitors for each in self._differences(name, wanted[name], recount)]
            if not found or time.monotonic() > until:
                return found
            time.sleep(0.5)

    def _differences(self, name: str, wanted: dict[tuple[str, int], dict[str, Any]], recount: Recount) -> list[str]:
        store = self.backend.need("monitors")
        found: list[str] = []
        got = {
            (segment, window.start): window
            for segment in SEGMENTS
            for window in store.windows(name, segment=segment, limit=100_000)
        }
        if missing := sorted(wanted.keys() - got.keys()):
            found.append(f"{name}: no window {missing[:3]} and {len(missing)} in all")
        if more := sorted(got.keys() - wanted.keys()):
            found.append(f"{name}: windows of nothing: {more[:3]}")
        for key in sorted(wanted.keys() & got.keys()):
            found += _unlike(f"{name} {key}", wanted[key], got[key])
        rows = sum(each["rows"] for (segment, _), each in wanted.items() if not segment)
        monitor = store.get(name)
        if (monitor.rows, monitor.windows) != (rows, sum(not segment for segment, _ in wanted)):
            found.append(f"{name}: it says {monitor.rows} rows in {monitor.windows} windows, and there are {rows}")
        if not found:
            found += self._rolled(name, recount) + self._left(name)
        return found

    def _rolled(self, name: str, recount: Recount) -> list[str]:
        """Hours and days that are kept beside the windows."""
        found = []
        for stretch in kept_stretches(self.monitors[name]):
            wanted = expected(self.ledger, name, recount, STRETCHES[stretch]) if stretch != "week" else {}
            for segment in SEGMENTS:
                kept = self.backend.need("monitors").windows(name, segment=level_name(stretch, segment), limit=10_000)
                for window in kept:
                    if (segment, window.start) in wanted:
                        found += _unlike(
                            f"{name} {stretch} {segment, window.start}", wanted[segment, window.start], window
                        )
        return found

    def _left(self, name: str) -> list[str]:
        """What should be in no folder, and what the samples say of labels."""
        folder = monitor_folder(self.backend, name)
        found = [f"{name}: left in {each.parent.name}: {each.name}" for each in (folder / "spool").glob("*")]
        found += [f"{name}: refused {each.name}" for each in (folder / "refused").glob("*")]
        found += [f"{name}: not counted: {each.name}" for each in waiting_files(self.backend, name)]
        if read_in_hand(folder) is not None:
            found.append(f"{name}: something is still in hand")
        truth = frame_of(self.ledger.rows[name], self.ledger.labels)
        truth = truth[truth["id"].notna() & truth["scored"]].set_index("id")["label"]
        truth.index = truth.index.map(lambda number: str(int(number)))
        sample = read_sample(folder, limit=1 << 30)
        sample = sample[sample[f"{OWN}id"].isin(truth.index)]
        said = sample[f"{OWN}target"].map({1.0: "yes", 0.0: "no"})
        meant = truth.reindex(sample[f"{OWN}id"]).to_numpy()
        wrong = ((said != meant).to_numpy() & ~(said.isna().to_numpy() & (meant == None))).sum()  # noqa: E711
        if wrong:
            found.append(f"{name}: {wrong} of {len(sample)} sampled rows have another label")
        return found

    def _told(self) -> dict[str, Any]:
        kept = {
            part: sum(each.stat().st_size for each in place.rglob("*") if each.is_file())
            for part, place in {"monitors": self.workspace / "monitors", "workspace": self.workspace}.items()
        }
        with Database(self.workspace / "console.db").read() as connection:
            batches = connection.execute("SELECT COUNT(*) FROM batches").fetchone()[0]
        rows = {name: len(rows) for name, rows in self.ledger.rows.items()}
        return {
            "seed": self.plan.seed,
            "rows": rows,
            "labels": len(self.ledger.labels),
            "files": self.ledger.files,
            "requests": self.ledger.requests,
            "requests_sent_again": self.again,
            "duplicates": self.ledger.duplicates,
            "faults": self.faults.done,
            "cpu_s": {what: round(used, 2) for what, used in self.faults.cpu.items()},
            "cpu_ms_per_10000_rows": round(1000 * self.faults.cpu["scorers"] / sum(rows.values()) * 10_000),
            "bytes_kept": kept,
            "batch_keys": batches,
        }

    def close(self) -> None:
        stop_agent(self.workspace)
        self.backend.close()


def _unlike(where: str, wanted: dict[str, Any], window: Any) -> list[str]:
    counts = unpack(window.counts)
    found = []
    if counts.rows != wanted["rows"] or window.rows != wanted["rows"]:
        found.append(f"{where}: {window.rows} rows, and there are {wanted['rows']}")
    cells = list(counts.cells)
    if cells != wanted["cells"]:
        odd = [
            (at, got, want) for at, (got, want) in enumerate(zip(cells, wanted["cells"], strict=True)) if got != want
        ]
        found.append(f"{where}: {len(odd)} cells differ (cell, counted, true): {odd[:6]}")
    if counts.new_levels != wanted["new"]:
        found.append(f"{where}: new levels {counts.new_levels}, true {wanted['new']}")
    groups = {key: tuple(value) for key, value in counts.groups.get("carrier", {}).items() if any(value)}
    if groups != {key: value for key, value in wanted["groups"].items() if any(value)}:
        found.append(f"{where}: groups {groups}, true {wanted['groups']}")
    if window.labelled != wanted["sums"][0]:
        found.append(f"{where}: {window.labelled} labelled, and there are {wanted['sums'][0]:.0f}")
    if any(abs(a - b) > 1e-7 * max(1.0, abs(b)) for a, b in zip(counts.sums, wanted["sums"], strict=True)):
        found.append(f"{where}: sums {counts.sums}, true {wanted['sums']}")
    return found


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulated_day.play")
    parser.add_argument("folder", type=Path)
    for name, kind in Plan.__annotations__.items():
        if kind == "bool":
            parser.add_argument(f"--{name}", action="store_true")
        else:
            parser.add_argument(f"--{name}", type={"int": int, "float": float}[kind], default=getattr(Plan, name))
    asked = vars(parser.parse_args(argv))
    day = Day(asked.pop("folder"), Plan(**asked))
    try:
        told = day.play()
        told["log"] = agent_log(day.workspace, limit=2000).splitlines()[-5:] if told["differences"] else []
    finally:
        day.close()
    print(json.dumps(told))
    return 1 if told["differences"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

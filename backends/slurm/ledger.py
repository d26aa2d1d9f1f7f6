"""What stands of the runs on the shared file system: which job has begun a run, what it printed, how it ended.

batches/BATCH/  job.sh, runs (a line each), job (its number, once sbatch told it), slurm.TASK (what Slurm said)
runs/RUN/       batch, folder, parts, command; then by the job: claim, begun, out.log, exit
parts/DIGEST    files and folders that were sent over
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from backends.entities import Millis, Record
from backends.slurm.login_node import LoginNode

PIECE: Final = 262_144
"""Bytes of a log that come at once."""
FETCH_S: Final = 1.0
"""Over ssh the logs are asked for together, and at most so often."""
ASKED_S: Final = 60.0
_RUN: Final = re.compile(r"[0-9a-f]{32}")

_STANDINGS: Final = """\
cd "$B" 2>/dev/null || exit 0
while read -r run; do
  batch= job= claim= begun= code=
  { read -r batch <"runs/$run/batch"; read -r claim <"runs/$run/claim"; } 2>/dev/null
  [ -z "$claim" ] || { read -r begun <"runs/$run/begun"; read -r code <"runs/$run/exit"; } 2>/dev/null
  [ -z "$batch" ] || { read -r job <"batches/${batch%% *}/job"; } 2>/dev/null
  echo "$run|$batch|$job|$claim|$begun|$code"
done
exit 0
"""
_TAILS: Final = f"""\
cd "$B/runs" 2>/dev/null || exit 0
while read -r run at; do
  [ -s "$run/out.log" ] || continue
  n=$(($(wc -c <"$run/out.log") - at))
  [ "$n" -gt 0 ] || continue
  [ "$n" -lt {PIECE} ] || n={PIECE}
  echo "$run $at $n"
  tail -c "+$((at + 1))" "$run/out.log" | head -c "$n"
done
exit 0
"""
_CLEAN: Final = """\
cd "$B" 2>/dev/null || exit 0
find runs -mindepth 2 -maxdepth 2 -name exit -mtime +{days} 2>/dev/null |
  while read -r each; do rm -rf "${{each%/exit}}"; done
for each in runs batches parts; do
  [ -d "$each" ] && find "$each" -mindepth 1 -maxdepth 1 -mtime +{long} -exec rm -rf {{}} +
done
exit 0
"""


class Standing(Record, frozen=True, kw_only=True):
    """One run, as its files say."""

    batch: str = ""
    """What it was submitted with; empty for not yet."""
    index: int = 0
    count: int = 1
    job: str = ""
    """The job that has begun it; before, the one it was submitted as, where that is known."""
    begun: bool = False
    began_at: Millis | None = None
    where: str = ""
    exit_code: int | None = None
    ended_at: Millis | None = None


class Ledger:
    """Reads it, by one call for all runs."""

    def __init__(self, node: LoginNode) -> None:
        self._node = node
        self._home = Path(node.address.directory).expanduser()
        self._asked: dict[str, tuple[int, float]] = {}
        self._pieces: dict[str, tuple[int, bytes]] = {}
        self._fetched_at = -FETCH_S

    def standings(self, runs: Sequence[str]) -> dict[str, Standing]:
        """Of each of them. Unreachable where the login node is."""
        found = dict.fromkeys(runs, Standing())
        given = [run for run in runs if _RUN.fullmatch(run)]
        if given:
            answer = self._node.run(_STANDINGS, "".join(f"{run}\n" for run in given).encode())
            for line in answer.out.decode("utf-8", "replace").splitlines():
                run, _, rest = line.partition("|")
                parts = rest.split("|")
                if len(parts) == 5 and run in found:
                    found[run] = _standing(*parts)
        return found

    def held(self, runs: Sequence[str]) -> dict[str, Standing]:
        """Those that were submitted, or about to be, before."""
        return {run: each for run, each in self.standings(runs).items() if each.batch}

    def note(self, batch: str, base: str) -> None:
        """Which job a batch became, as it was found out later."""
        self._node.run(f'cd "$B/batches/{batch}" && echo {base} >job.new && mv job.new job')

    def log(self, run: str, start: int) -> bytes:
        """From byte `start` on, as far as there is."""
        if self._node.local:
            try:
                with (self._home / "runs" / run / "out.log").open("rb") as file:
                    file.seek(start)
                    return file.read(PIECE)
            except FileNotFoundError:
                return b""
        return self._log_there(run, start)

    def _log_there(self, run: str, start: int) -> bytes:
        now = time.monotonic()
        self._asked[run] = (start, now)
        at, piece = self._pieces.get(run, (start, b""))
        if (not piece or at != start) and now - self._fetched_at >= FETCH_S:
            self._fetched_at = now
            self._asked = {each: said for each, said in self._asked.items() if now - said[1] < ASKED_S}
            self._pieces = self._fetch({each: said[0] for each, said in self._asked.items()})
            at, piece = self._pieces.get(run, (start, b""))
        if at != start:
            return b""
        self._pieces.pop(run, None)
        return piece

    def _fetch(self, wanted: dict[str, int]) -> dict[str, tuple[int, bytes]]:
        asked = "".join(f"{run} {start}\n" for run, start in wanted.items())
        out = self._node.run(_TAILS, asked.encode()).out
        found, at = dict[str, tuple[int, bytes]](), 0
        while at < len(out):
            end = out.index(b"\n", at)
            run, start, count = out[at:end].decode().split(" ")
            at = end + 1 + int(count)
            found[run] = (int(start), out[end + 1 : at])
        return found

    def said_by_slurm(self, run: str) -> str:
        """The last line that Slurm itself wrote of the run's job."""
        if not _RUN.fullmatch(run):
            return ""
        answer = self._node.run(
            f'cd "$B" && read -r batch index count <runs/{run}/batch || exit 0\n'
            'if [ "$count" -gt 1 ]; then tail -n 1 "batches/$batch/slurm.$index"\n'
            'else tail -q -n 1 "batches/$batch"/slurm.*; fi 2>/dev/null; exit 0'
        )
        lines = answer.out.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else ""

    def clean(self, days: int) -> None:
        """Remove what ended so many days ago; what never began, and files nobody took, after four times as long."""
        self._node.run(_CLEAN.format(days=days, long=4 * days), timeout=600)


def _standing(batch: str, job: str, claim: str, begun: str, code: str) -> Standing:
    words, began, ended = batch.split(), begun.split(), code.split()
    name, index, count = (words[0], int(words[1]), int(words[2])) if len(words) == 3 else ("", 0, 1)
    base = job.partition(";")[0].strip()
    given = f"{base}_{index}" if base and count > 1 else base
    return Standing(
        batch=name, index=index, count=count, job=claim or given, begun=bool(claim),
        began_at=_millis(began[0]) if began else None, where=began[1] if len(began) > 1 else "",
        exit_code=int(ended[0]) if len(ended) == 2 and ended[0].isdigit() else None,
        ended_at=_millis(ended[1]) if len(ended) == 2 else None,
    )  # fmt: skip


def _millis(seconds: str) -> Millis | None:
    return int(seconds) * 1000 if seconds.isdigit() else None

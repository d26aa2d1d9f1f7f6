"""What Slurm says of its jobs: one squeue for all of ours, and no two within five seconds; sacct where there is one.

When squeue was asked last stands beside the runs, on the login node: an agent that has just begun, and another one of
the same person, keep the distance as well. The script that asks looks at it, and writes it before and after, so that
what a busy machine needs to begin a script cannot bring two squeues closer.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Final

from backends.contract import Invalid, Refused, Unreachable
from backends.slurm.login_node import ControllerAway, LoginNode
from backends.slurm.rows import (
    SACCT_FORM,
    TEXT_FORM,
    JobRow,
    Jobs,
    read_sacct,
    read_squeue_json,
    read_squeue_text,
)
from backends.slurm.words import how_ended

APART_S: Final = 5.0
"""Between the end of a squeue and the next one, however many runs there are, and however often and who of us asks."""
AWAY_S: Final = 15.0
"""Between two while the controller does not answer: each waits for it for some seconds."""
ACCOUNT_S: Final = 15.0
"""Between two sacct: its database is everybody's."""
STRANGERS: Final = 1_000
"""So many jobs of others in one JSON answer (Slurm before 23.02 leaves none out) and the text form is taken instead."""
ACCOUNTED_AT_ONCE: Final = 500
PATIENCE_S: Final = 60.0
"""How long one waits for the turn to ask, who cannot go on without an answer."""
_USER: Final = 'SLURM_BITSTR_LEN=0 squeue -t all -u "$(id -un)"'
_TOO_SOON: Final = 75
_IN_TURN: Final = f"""\
umask 077
[ -w "$B" ] || {{ %(squeue)s; exit; }}
{{
  # Where there is no flock, or the file system knows none, its exit code is another than 1.
  flock -n 9 2>/dev/null || [ $? -ne 1 ] || {{ echo %(apart)d; exit {_TOO_SOON}; }}
  at=; {{ read -r at <"$B/squeue.at"; }} 2>/dev/null
  now=$(date +%%s%%3N)
  case "${{at:-never}}$now" in
  *[!0-9]*) ;;
  *) gone=$((now - at))
     [ "$gone" -lt 0 ] || [ "$gone" -ge %(apart)d ] || {{ echo $((%(apart)d - gone)); exit {_TOO_SOON}; }} ;;
  esac
  echo "$now" >"$B/squeue.at"
  %(squeue)s 9>&-
  code=$?
  date +%%s%%3N >"$B/squeue.at"
  exit $code
}} 9>"$B/squeue.lock"
"""
"""A squeue, or after how many milliseconds it may be asked. The lock ends with the script; where that is killed, the
moment before the question stands."""


class _TooSoon(Exception):
    """It was not asked, or not in a form that it knows: `seconds` until one may."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class Watch:
    """The last answers, and when they came."""

    def __init__(self, node: LoginNode) -> None:
        self._node = node
        self._jobs = Jobs(())
        self._next_at = float("-inf")
        """When squeue may be asked next, on the monotonic clock."""
        self._told_at = float("-inf")
        self._json = True
        self._accounts = True
        self._accounted_at = -ACCOUNT_S
        self._told: dict[str, JobRow] = {}
        self.trouble = ""
        """Why the last squeue failed; then what was told before stands."""
        self.accounts_away = False
        """The last sacct failed, and will not for ever: its database is down."""
        self.asked = 0
        """How many squeues there were."""

    def rows(self, names: Collection[str]) -> dict[str, JobRow]:
        """Of these jobs, those that Slurm knows. Unreachable, Unauthorized where the login node is not reached."""
        if time.monotonic() >= self._next_at:
            self._refresh()
        return {name: row for name in names if (row := self._jobs.get(name)) is not None}

    def left_out(self, name: str) -> bool:
        """Whether Slurm knows the array and not this task of it."""
        return self._jobs.left_out(name)

    def told_since(self, since: float, seconds: float) -> bool:
        """Whether Slurm answered at least so long after a moment of the monotonic clock."""
        return self._told_at - since >= seconds

    def find(self, comment: str, since: float) -> str:
        """The job with this comment, by an answer that came after a moment of the monotonic clock: its turn is waited
        for. Empty for none; Unreachable where Slurm does not answer."""
        until = time.monotonic() + PATIENCE_S
        while self._told_at < since:
            wait = self._next_at - time.monotonic()
            if self.trouble and wait > 0:
                raise ControllerAway(self.trouble)
            if time.monotonic() + wait > until:
                raise ControllerAway(f"{self._node.address.place} is asked by others of yours all the time; again soon")
            time.sleep(max(0.0, wait))
            self._refresh()
        return self._jobs.commented(comment)

    def _refresh(self) -> None:
        try:
            rows = self._squeue()
        except _TooSoon as early:
            self._next_at = time.monotonic() + early.seconds
            return
        except (ControllerAway, Refused) as away:
            self.trouble = str(away)
            self._next_at = time.monotonic() + AWAY_S
            return
        self.trouble = ""
        self._jobs = Jobs(rows)
        self._told_at = time.monotonic()
        self._next_at = self._told_at + APART_S

    def _squeue(self) -> list[JobRow]:
        """One squeue. A Slurm that knows no JSON is asked for text, by the next."""
        form = "--json" if self._json else f"-h -o '{TEXT_FORM}'"
        answer = self._node.run(_IN_TURN % {"apart": round(APART_S * 1000), "squeue": f"{_USER} {form}"})
        if answer.code == _TOO_SOON:
            raise _TooSoon(int(answer.out or b"0") / 1000)
        self.asked += 1
        if answer.code:
            if self._json and ("json" in answer.said.lower() or "serializ" in answer.said.lower()):
                self._json = False  # this Slurm was built without it, or is older than 21.08
                raise _TooSoon(APART_S)
            raise self._node.trouble(answer)
        if not self._json:
            return read_squeue_text(answer.out.decode("utf-8", "replace"))
        try:
            rows = read_squeue_json(answer.out)
        except Invalid:
            self._json = False
            raise _TooSoon(APART_S) from None
        except Unreachable as away:
            raise ControllerAway(f"{self._node.address.place} does not answer: {away}") from None
        self._json = len(rows) < STRANGERS or sum(1 for row in rows if row.comment) * 2 > len(rows)
        return rows

    def accounted(self, names: Collection[str], unbegun: Collection[str]) -> dict[str, JobRow]:
        """What slurmdbd remembers of jobs that squeue has forgotten; nothing where there is none.

        It is asked for whole arrays: of a task that never began (`unbegun`) it tells only beside the others, and passes
        over in silence one that was cancelled by itself.
        """
        missing = [name for name in names if name not in self._told and name[:1].isdigit()][:ACCOUNTED_AT_ONCE]
        if missing and self._accounts and time.monotonic() - self._accounted_at >= ACCOUNT_S:
            self._accounted_at = time.monotonic()
            bases = dict.fromkeys(name.partition("_")[0] for name in missing)
            answer = self._node.run(f"SLURM_TIME_FORMAT=%s sacct -n -P -X -o {SACCT_FORM} -j {','.join(bases)}")
            if answer.code:
                # "Slurm accounting storage is disabled" and no such program are for good; a database being down is not.
                self._accounts = not ("disabled" in answer.said or answer.code == 127)
                self.accounts_away = self._accounts
            else:
                self.accounts_away = False
                self._keep(read_sacct(answer.out.decode("utf-8", "replace")), missing, unbegun)
        return {name: self._told[name] for name in names if name in self._told}

    def _keep(self, rows: Mapping[str, JobRow], missing: Collection[str], unbegun: Collection[str]) -> None:
        """Of those that have ended."""
        open_arrays = {job.partition("_")[0] for job, row in rows.items() if how_ended(row.state) is None}
        ended_arrays = {job.partition("_")[0] for job in rows if "_" in job} - open_arrays
        for name in missing:
            row = rows.get(name)
            if row is not None and how_ended(row.state) is not None:
                self._told[name] = row
            elif row is None and name in unbegun and name.partition("_")[0] in ended_arrays:
                self._told[name] = JobRow(job=name, state="CANCELLED")

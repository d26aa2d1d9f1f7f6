"""What Slurm says of its jobs: one squeue for all of ours, and no two within five seconds; sacct where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

from backends.contract import Invalid, Refused, Unreachable
from backends.slurm.login_node import Answer, ControllerAway, LoginNode
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
"""Between two squeues, however many runs there are and however often one asks."""
AWAY_S: Final = 15.0
"""Between two while the controller does not answer: each waits for it for some seconds."""
ACCOUNT_S: Final = 15.0
"""Between two sacct: its database is everybody's."""
STRANGERS: Final = 1_000
"""So many jobs of others in one JSON answer (Slurm before 23.02 leaves none out) and the text form is taken instead."""
ACCOUNTED_AT_ONCE: Final = 500
_USER: Final = 'SLURM_BITSTR_LEN=0 squeue -t all -u "$(id -un)"'


class Watch:
    """The last answers, and when they came."""

    def __init__(self, node: LoginNode, ask: Callable[[LoginNode, str], Answer]) -> None:
        self._node = node
        self._ask = ask
        self._jobs = Jobs(())
        self._asked_at = -AWAY_S
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
        if time.monotonic() - self._asked_at >= (AWAY_S if self.trouble else APART_S):
            self._refresh()
        return {name: row for name in names if (row := self._jobs.get(name)) is not None}

    def left_out(self, name: str) -> bool:
        """Whether Slurm knows the array and not this task of it."""
        return self._jobs.left_out(name)

    def told_since(self, since: float, seconds: float) -> bool:
        """Whether Slurm answered at least so long after a moment of the monotonic clock."""
        return self._told_at - since >= seconds

    def find(self, comment: str) -> str:
        """The job with this comment, asked for anew; empty for none. Unreachable where Slurm does not answer."""
        if time.monotonic() - self._told_at > 1.0:
            self._refresh()
        if self.trouble:
            raise ControllerAway(self.trouble)
        return self._jobs.commented(comment)

    def _refresh(self) -> None:
        self._asked_at = time.monotonic()
        self.asked += 1
        try:
            rows = self._squeue()
        except (ControllerAway, Refused) as away:
            self.trouble = str(away)
            return
        self.trouble = ""
        self._jobs = Jobs(rows)
        self._told_at = time.monotonic()

    def _squeue(self) -> list[JobRow]:
        if self._json:
            answer = self._node.run(f"{_USER} --json")
            if not answer.code:
                try:
                    rows = read_squeue_json(answer.out)
                except Invalid:
                    self._json = False
                except Unreachable as away:
                    raise ControllerAway(f"{self._node.address.place} does not answer: {away}") from None
                else:
                    self._json = len(rows) < STRANGERS or sum(1 for row in rows if row.comment) * 2 > len(rows)
                    return rows
            elif "json" in answer.said.lower() or "serializ" in answer.said.lower():
                self._json = False  # this Slurm was built without it, or is older than 21.08
            else:
                self._ask(self._node, f"{_USER} -h -o '{TEXT_FORM}' >/dev/null")  # says what is wrong
        answer = self._ask(self._node, f"{_USER} -h -o '{TEXT_FORM}'")
        return read_squeue_text(answer.out.decode("utf-8", "replace"))

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

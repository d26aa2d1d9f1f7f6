"""A repository elsewhere: its branches and tags copied here, and pushes that are all or nothing."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from backends.contract import BackendError, Conflict, Refused, Unreachable
from backends.gto.program import AWAY_S, Done, Git, last_words, trouble
from backends.one_at_a_time import one_at_a_time

FRESH_S: Final = 15.0
"""A look that is not older than this asks the remote for nothing."""
_PAUSE_S: Final = 20.0
"""After it did not answer."""
_WANTED: Final = (
    "+refs/heads/*:refs/heads/*",
    "+refs/tags/*:refs/tags/*",
    "+refs/mlops-console/*:refs/mlops-console/*",
)
_RACES: Final = (
    "already exists", "fetch first", "non-fast-forward", "stale info", "cannot lock ref", "failed to update ref",
    "reference already exists", "incorrect old value", "failed to lock", "reference conflict", "remote ref updated",
)  # fmt: skip


class Pushed(NamedTuple):
    """What became of a push: `lost` where somebody else was first."""

    lost: bool
    said: str = ""


class Remote:
    """The remote of a copy. `ever` says whether it answered since this was opened, or left a copy before."""

    def __init__(self, git: Git, url: str, home: Path) -> None:
        self._git = git
        self._url = url
        self._guard = home / "gto.git.lock"
        self._lock = threading.Lock()
        self._beside: threading.Thread | None = None
        self._asked = float("-inf")
        self._failed: tuple[float, BackendError] | None = None
        self.ever = False

    def prepare(self) -> None:
        """Make the copy if there is none; the remote is not asked."""
        with self._alone():
            folder = self._git.folder
            if (folder / "HEAD").is_file():
                known = self._git.run("config", "remote.origin.url")
                if known.out.decode("utf-8", "replace").strip() == self._url:
                    self.ever = (folder / "FETCH_HEAD").is_file()
                    return
                shutil.rmtree(folder)  # of another address: nothing in it is ours alone
            fresh = folder.with_name("gto.git.new")
            shutil.rmtree(fresh, ignore_errors=True)
            done = self._git.run("init", "--quiet", "--bare", "--template=", str(fresh), bare=True)
            if done.code:
                raise trouble(self._git.where, "init", done)
            fresh.chmod(0o700)
            self._git.folder = fresh
            try:
                self._git.ask("config", "remote.origin.url", self._url)
            finally:
                self._git.folder = folder
            fresh.replace(folder)

    # ------------------------------------------------------------ fetching

    def fetch(self, *, now: bool) -> None:
        """Bring the copy up to date, unless that was just done. A remote that was silent is left alone for a while."""
        began = time.monotonic()
        with self._lock:
            if not now and time.monotonic() - self._asked < FRESH_S:
                return
            if now and self._asked >= began:
                return  # somebody who waited for the same has just done it
            if not now and self._failed is not None and time.monotonic() - self._failed[0] < _PAUSE_S:
                raise self._failed[1]
            self._fetch()

    def _fetch(self) -> None:
        started = time.monotonic()
        try:
            with self._alone():
                done = self._git.run(
                    "fetch",
                    "--quiet",
                    "--prune",
                    "--no-tags",
                    "--no-auto-maintenance",
                    "origin",
                    *_WANTED,
                    within=AWAY_S,
                )
                if not done.code:
                    self._follow_head()
        except Unreachable as error:
            self._failed = time.monotonic(), error
            raise
        if done.code:
            told = trouble(self._git.where, "fetch", done)
            if "authentication" in done.err.lower() or "40" in done.err:
                self._git.forget_secret()
            self._failed = time.monotonic(), told
            raise told
        self._asked, self._failed, self.ever = started, None, True

    def _follow_head(self) -> None:
        """The branch that the remote works on: new versions begin at its end."""
        if self._git.run("rev-parse", "--quiet", "--verify", "HEAD^{commit}").code == 0:
            return
        done = self._git.run("ls-remote", "--symref", "origin", "HEAD", within=AWAY_S)
        for line in done.out.decode("utf-8", "replace").splitlines():
            if line.startswith("ref: refs/heads/"):
                self._git.run("symbolic-ref", "HEAD", line.split()[1])

    def fetch_beside(self) -> None:
        """The same in a thread, if it is time."""
        if self._beside is not None and self._beside.is_alive():
            return
        if time.monotonic() - self._asked < FRESH_S:
            return
        if self._failed is not None and time.monotonic() - self._failed[0] < _PAUSE_S:
            return

        def ask() -> None:
            try:
                self.fetch(now=False)
            except BackendError:
                pass  # whoever looks is told

        self._beside = threading.Thread(target=ask, name="git-fetch", daemon=True)
        self._beside.start()

    def close(self) -> None:
        if self._beside is not None:
            self._beside.join()

    def stale(self, error: BackendError) -> str:
        """What a list that is shown in spite of the error says."""
        try:
            seen = (self._git.folder / "FETCH_HEAD").stat().st_mtime
        except OSError:
            return str(error)
        return f"as of {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(seen))}: {error}"

    # ------------------------------------------------------------ pushing

    def push(self, created: Mapping[str, str], moved: Mapping[str, tuple[str, str]]) -> Pushed:
        """Make refs and move others from one commit to the next, all or none. `moved` gives (old, new); a ref that was
        not there is old as an empty text. Unreachable where no answer came: then it may have been done."""
        leases = [f"--force-with-lease={ref}:{old}" for ref, (old, _) in moved.items()]
        specs = [f"{new}:{ref}" for ref, (_, new) in moved.items()] + [f"{oid}:{ref}" for ref, oid in created.items()]
        with self._alone():
            done = self._git.run("push", "--porcelain", "--atomic", *leases, "origin", *specs, within=AWAY_S)
        if not done.code:
            self._asked = float("-inf")
            return Pushed(lost=False)
        return self._refused(done)

    def _refused(self, done: Done) -> Pushed:
        told = [line.split("\t") for line in done.out.decode("utf-8", "replace").splitlines() if line.startswith("!")]
        reasons = [fields[2] for fields in told if len(fields) > 2 and "atomic" not in fields[2].lower()]
        if any(mark in reason.lower() for reason in reasons for mark in _RACES):
            return Pushed(lost=True, said=reasons[0])
        if reasons:
            words = [line for line in done.err.splitlines() if line.startswith("remote:") and line.strip() != "remote:"]
            said = " ".join(line.removeprefix("remote:").strip() for line in words)[:300]
            raise Refused(
                f"{self._git.where} refused the tags: {reasons[0]}{f' ({said})' if said else ''}; nothing was changed. "
                "Ask whoever owns the repository whether you may push tags and refs/mlops-console there."
            )
        if any(mark in done.err.lower() for mark in ("cannot lock ref", "already exists")):
            return Pushed(lost=True, said=last_words(done.err))
        raise trouble(self._git.where, "push", done)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time of this machine's processes: git's own locks give up at once."""
        self._guard.touch(mode=0o600)
        refusal = (
            f"{self._git.where}: another console of this machine waits for it; nothing was changed. Look again in a "
            "moment."
        )
        try:
            with one_at_a_time(self._guard, wait=AWAY_S, refusal=refusal):
                yield
        except Conflict as busy:
            raise Unreachable(str(busy)) from None

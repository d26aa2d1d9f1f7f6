"""Which code a run is started from: the git commit of a folder, and what was changed in it since."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from backends.entities import Source

MOST_DIFF = 1 << 20
"""Bytes of an uncommitted diff that are kept."""
PATIENCE_S = 10.0
DIFF = "diff.patch"


def capture_origin(origin: str) -> tuple[Source, str]:
    """The source record of a folder (or of a recipe file in it), and the uncommitted diff, empty where there is none.

    A folder without git, or a machine without it, gives a record without a commit. Nothing of the repository's own
    configuration is executed: no hooks, no external diff, no file monitor.
    """
    if not origin:
        return Source(), ""
    path = Path(origin).expanduser().absolute()
    entry, folder = (path.name, path.parent) if path.is_file() else ("", path)
    commit = _git(folder, "rev-parse", "--verify", "HEAD").strip()
    if not commit:
        return Source(entry=entry), ""
    changed = _git(folder, "status", "--porcelain", "--untracked-files=normal", "--", ".")
    diff = _git(folder, "diff", "HEAD", "--no-ext-diff", "--no-textconv", "--no-color", "--", ".") if changed else ""
    untracked = [line[3:] for line in changed.splitlines() if line.startswith("??")]
    if untracked:
        diff += "".join(f"# not under version control: {name}\n" for name in untracked)
    if len(diff) > MOST_DIFF:
        diff = diff[:MOST_DIFF] + f"\n# cut here: the diff is longer than {MOST_DIFF} characters\n"
    source = Source(
        entry=entry,
        commit=commit,
        branch=_git(folder, "rev-parse", "--abbrev-ref", "HEAD").strip(),
        dirty=bool(changed),
        diff=DIFF if diff else "",
        repo=_without_secret(_git(folder, "config", "--get", "remote.origin.url").strip()),
    )
    return source, diff


def _git(folder: Path, *args: str) -> str:
    """What git prints, or nothing when it cannot."""
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false")
    try:
        done = subprocess.run(
            ["git", *safe, *args],  # noqa: S607
            cwd=folder,
            capture_output=True,
            timeout=PATIENCE_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""


def _without_secret(url: str) -> str:
    """A remote's address without the user and token that may stand in it."""
    parts = urlsplit(url)
    if parts.scheme and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url

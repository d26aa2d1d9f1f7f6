"""What keeps a machine, a terminal or a workspace from working well, and what to do about it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path

import msgspec

from backends.contract import BackendError
from console.config import Context, Session, choose_context, config_path, current_actor, load_config
from console.wording import age, duration, plural, size

SMALLEST = (80, 24)
"""Cells that every pane fits into."""

WANTED_PACKAGES = (
    "textual",
    "pandas",
    "scikit-learn",
    "pyarrow",
    "skops",
    "sqlite-utils",
    "plotext",
    "msgspec",
    "psutil",
)

REMOTE_FILESYSTEMS = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "afs", "lustre"})
"""Where SQLite's write-ahead log is not safe between machines."""


class Health(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report."""

    check: str
    health: Health
    said: str
    """What is."""
    todo: str = ""
    """What to do, where there is something to do."""


Check = Callable[["Patient"], Iterator[Finding]]


class Patient:
    """What is examined: the context as the command line chose it, and its session once that is open."""

    def __init__(self, context: str | None = None, workspace: Path | None = None) -> None:
        self._asked = (context, workspace)
        self.context: Context | None = None
        self.session: Session | None = None

    def choose(self) -> Context:
        self.context = choose_context(load_config(), *self._asked)
        return self.context

    @property
    def home(self) -> Path | None:
        return self.context.directory if self.context is not None else None


def examine(context: str | None = None, workspace: Path | None = None) -> tuple[Finding, ...]:
    """Every check, in the order a person would make them. A check that breaks is itself a finding."""
    patient = Patient(context, workspace)
    findings: list[Finding] = []
    try:
        for check in CHECKS:
            try:
                findings += check(patient)
            except (OSError, BackendError, sqlite3.Error) as error:
                findings.append(Finding(check=_name(check), health=Health.FAIL, said=str(error)))
    finally:
        if patient.session is not None:
            patient.session.backend.close()
    return tuple(findings)


def _name(check: Check) -> str:
    return getattr(check, "__name__", "check").removeprefix("check_")


# ---------------------------------------------------------------- the machine


def check_python(_: Patient) -> Iterator[Finding]:
    said = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info < (3, 38):
        yield Finding(
            check="python",
            health=Health.FAIL,
            said=said,
            todo="use a Python whose SQLite is 3.38 or newer: full text search needs it",
        )
    else:
        yield Finding(check="python", health=Health.OK, said=said)


def check_packages(_: Patient) -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    found: list[str] = []
    missing: list[str] = []
    for package in ("mlops-console", *WANTED_PACKAGES):
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            missing.append(package)
    if missing:
        yield Finding(
            check="packages",
            health=Health.FAIL,
            said=f"not installed: {', '.join(missing)}",
            todo="pip install mlops-console",
        )
    else:
        yield Finding(check="packages", health=Health.OK, said=", ".join(found))


def check_clock(_: Patient) -> Iterator[Finding]:
    now = time.time()
    said = time.strftime("%Y-%m-%d %H:%M:%S %Z")
    synchronised = _ask("timedatectl", "show", "--property=NTPSynchronized", "--value")
    # A release is never older than its own files.
    if now < Path(__file__).stat().st_mtime - 86_400:
        yield Finding(
            check="clock",
            health=Health.WARN,
            said=f"{said}: before this program was installed",
            todo="set the clock: runs and journal are dated by it",
        )
    elif synchronised == "no":
        yield Finding(
            check="clock", health=Health.WARN, said=f"{said}, not synchronised", todo="timedatectl set-ntp true"
        )
    else:
        yield Finding(check="clock", health=Health.OK, said=said)


def check_logout(_: Patient) -> Iterator[Finding]:
    """Whether what runs outlives the login: systemd can be told to kill it."""
    login = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    kills = _ask("busctl", "get-property", *login, "KillUserProcesses")
    if kills != "b true":
        yield Finding(check="logout", health=Health.OK, said="runs and the agent go on after logout")
        return
    user = current_actor().partition("@")[0]
    if _ask("loginctl", "show-user", user, "--property=Linger", "--value") == "yes":
        yield Finding(check="logout", health=Health.OK, said="lingering is on: runs and the agent go on after logout")
    else:
        yield Finding(
            check="logout",
            health=Health.WARN,
            said="systemd kills what you leave running when you log out",
            todo="loginctl enable-linger",
        )


# ---------------------------------------------------------------- the terminal


def check_terminal(_: Patient) -> Iterator[Finding]:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        yield Finding(check="terminal", health=Health.OK, said="none here: the commands work, the panes need one")
        return
    columns, rows = shutil.get_terminal_size()
    kind = os.environ.get("TERM", "")
    said = f"{columns}×{rows}, TERM={kind or 'unset'}, {_colours(kind)}"
    if kind in ("", "dumb"):
        yield Finding(
            check="terminal", health=Health.FAIL, said=said, todo="export TERM=xterm-256color, or what your terminal is"
        )
    elif (columns, rows) < SMALLEST or rows < SMALLEST[1]:
        yield Finding(
            check="terminal", health=Health.WARN, said=said, todo=f"make it {SMALLEST[0]}×{SMALLEST[1]} or larger"
        )
    else:
        yield Finding(check="terminal", health=Health.OK, said=said)


def _colours(kind: str) -> str:
    if os.environ.get("NO_COLOR"):
        return "no colour (NO_COLOR)"
    if os.environ.get("COLORTERM", "") in ("truecolor", "24bit"):
        return "16 million colours"
    return "256 colours" if "256" in kind else "16 colours"


def check_text(_: Patient) -> Iterator[Finding]:
    encoding = (sys.stdout.encoding or "").lower().replace("-", "")
    if encoding == "utf8":
        yield Finding(check="text", health=Health.OK, said="UTF-8")
    else:
        yield Finding(
            check="text",
            health=Health.WARN,
            said=f"{sys.stdout.encoding}: lines and glyphs are drawn in ASCII",
            todo="export LC_ALL=C.UTF-8",
        )


def check_clipboard(_: Patient) -> Iterator[Finding]:
    """Copying goes to the terminal by OSC 52, which tmux passes on only where it may."""
    if os.environ.get("TMUX"):
        setting = _ask("tmux", "show-options", "-s", "-v", "set-clipboard")
        if setting == "off":
            yield Finding(
                check="clipboard",
                health=Health.WARN,
                said="tmux set-clipboard is off: y copies nowhere",
                todo="tmux set -s set-clipboard on",
            )
        else:
            yield Finding(
                check="clipboard",
                health=Health.OK,
                said=f"by OSC 52 through tmux (set-clipboard {setting or 'unknown'})",
            )
    elif os.environ.get("STY"):
        yield Finding(
            check="clipboard",
            health=Health.WARN,
            said="GNU screen does not pass OSC 52 on",
            todo="use tmux to copy with y",
        )
    else:
        yield Finding(check="clipboard", health=Health.OK, said="by OSC 52, if the terminal allows it")


# ---------------------------------------------------------------- the workspace


def check_config(patient: Patient) -> Iterator[Finding]:
    path = config_path()
    chosen = patient.choose()
    place = str(path) if path.exists() else f"no {path}: defaults"
    yield Finding(check="config", health=Health.OK, said=f"{place}; context {chosen.name} is {chosen.url}")


def check_workspace(patient: Patient) -> Iterator[Finding]:
    home = patient.home
    if home is None:
        return
    if not home.exists():
        above = next(parent for parent in home.parents if parent.exists())
        if os.access(above, os.W_OK):
            yield Finding(check="workspace", health=Health.OK, said=f"{home} is made at first use")
        else:
            yield Finding(
                check="workspace",
                health=Health.FAIL,
                said=f"{home} is not there and {above} is not writable",
                todo="--workspace DIR, or $MLOPS_CONSOLE_WORKSPACE",
            )
        return
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding(
            check="workspace",
            health=Health.FAIL,
            said=f"{home} is not writable by {current_actor()}",
            todo="open it with --read-only, or ask its owner",
        )
        return
    mode = home.stat().st_mode & 0o777
    if mode & 0o077:
        yield Finding(
            check="workspace",
            health=Health.WARN,
            said=f"{home} is open to others (mode {mode:o})",
            todo=f"chmod 700 {home}",
        )
    else:
        yield Finding(check="workspace", health=Health.OK, said=str(home))
    kind = _filesystem(home)
    if kind in REMOTE_FILESYSTEMS:
        yield Finding(
            check="filesystem",
            health=Health.WARN,
            said=f"{home} is on {kind}: two machines must not write it at once",
            todo="keep the workspace on a local disk",
        )


def check_disk(patient: Patient) -> Iterator[Finding]:
    home = patient.home
    if home is None:
        return
    place = next(found for found in (home, *home.parents) if found.exists())
    free = shutil.disk_usage(place).free
    said = f"{size(free)} free at {place}"
    if free < 100_000_000:
        yield Finding(
            check="disk", health=Health.FAIL, said=said, todo="make room: the next run or import will not fit"
        )
    elif free < 1_000_000_000:
        yield Finding(check="disk", health=Health.WARN, said=said, todo="make room soon")
    else:
        yield Finding(check="disk", health=Health.OK, said=said)


def check_store(patient: Patient) -> Iterator[Finding]:
    """Opens, is whole, and its journal's chain holds."""
    from backends.connect import connect

    context, home = patient.context, patient.home
    if context is None or (not context.registry and home is not None and not (home / "console.db").exists()):
        return
    begun = time.perf_counter()
    # Read only: an examination changes nothing.
    backend = connect(
        context.name,
        context.url,
        sidecar=home if context.registry else None,
        read_only=True,
        login=context.login,
        options=context.options,
    )
    patient.session = Session(context=context, backend=backend, actor=current_actor(), workspace=backend.home or home)
    if backend.runs is not None:
        backend.runs.page(limit=1)
    opened = duration(time.perf_counter() - begun)
    database = home / "console.db" if home is not None and not context.registry else None
    if database is not None:
        fault = _database_fault(database)
        if fault:
            yield Finding(
                check="store",
                health=Health.FAIL,
                said=f"{database}: {fault}",
                todo="stop the agent, keep a copy of the directory, go back to a backup",
            )
            return
    yield Finding(check="store", health=Health.OK, said=f"{context.url} answers in {opened}")
    if backend.journal is not None:
        held, fault = backend.journal.verify()
        if fault:
            yield Finding(
                check="journal",
                health=Health.FAIL,
                said=f"after entry {held}: {fault}",
                todo="compare with a backup: something outside the console wrote",
            )
        else:
            yield Finding(check="journal", health=Health.OK, said=f"the chain holds, {held} entries")


def check_launcher(patient: Patient) -> Iterator[Finding]:
    """The cluster that runs go to: whether it answers."""
    context = patient.context
    ref = context.launcher_ref if context is not None else None
    if ref is None:
        return
    from console.cluster import cluster_line, look_at_cluster

    seen = look_at_cluster(ref)
    if seen.trouble:
        yield Finding(
            check="launcher",
            health=Health.FAIL,
            said=cluster_line(seen),
            todo="runs wait until it answers; see launcher in config.toml",
        )
        return
    yield Finding(check="launcher", health=Health.OK, said=cluster_line(seen))


def check_agent(patient: Patient) -> Iterator[Finding]:
    session = patient.session
    if session is None or session.workspace is None or session.context.registry:
        return
    from console.agent import agent_status

    found = agent_status(session.workspace)
    asked = session.backend.requests.list(states=("waiting",)) if session.backend.requests is not None else ()
    waiting = sum(1 for request in asked if request.kind != "promotion")  # those wait for people
    if found.running:
        yield Finding(check="agent", health=Health.OK, said=f"runs for {age(found.since)}, pid {found.pid}")
    elif waiting:
        yield Finding(
            check="agent",
            health=Health.WARN,
            said=f"does not run, and {plural(waiting, 'request')} wait",
            todo="mlops-console agent start",
        )
    else:
        yield Finding(check="agent", health=Health.OK, said="does not run; it starts when there is work")


def check_metrics(patient: Patient) -> Iterator[Finding]:
    """The context's metrics store, and each service in it."""
    session = patient.session
    table = session.context.metrics_table if session is not None else None
    if session is None or table is None:
        return
    from console.services.health import source_health
    from console.services.source import with_metrics

    backend = with_metrics(session.backend, table)
    found = source_health(backend, table)
    if backend.metrics is not None:
        backend.metrics.close()
    if found.trouble:
        said, _, todo = found.trouble.partition("; ")
        yield Finding(
            check="metrics", health=Health.WARN, said=said, todo=todo or "see [contexts.NAME.metrics] of config.toml"
        )
        return
    product = f"{found.info.product} {found.info.version}" if found.info is not None else ""
    yield Finding(check="metrics", health=Health.OK, said=f"{found.where} answers, {product}".rstrip(", "))
    for each in found.services:
        said, _, todo = each.said.partition("; ")
        if each.well:
            yield Finding(check="metrics", health=Health.OK, said=f"{each.name}: {each.said}")
        else:
            yield Finding(check="metrics", health=Health.WARN, said=f"{each.name}: {said}", todo=todo)


CHECKS: tuple[Check, ...] = (
    check_python,
    check_packages,
    check_clock,
    check_logout,
    check_terminal,
    check_text,
    check_clipboard,
    check_config,
    check_workspace,
    check_disk,
    check_store,
    check_launcher,
    check_agent,
    check_metrics,
)


def _database_fault(database: Path) -> str:
    """What SQLite finds wrong with its own file, or nothing."""
    with contextlib.closing(
        sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=5)
    ) as connection:
        try:
            rows = connection.execute("PRAGMA quick_check(3)").fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)
    return "" if rows == [("ok",)] else "; ".join(str(row[0]) for row in rows)


def _filesystem(path: Path) -> str:
    import psutil

    best, kind = "", ""
    for mount in psutil.disk_partitions(all=True):
        if path.is_relative_to(mount.mountpoint) and len(mount.mountpoint) >= len(best):
            best, kind = mount.mountpoint, mount.fstype
    return kind


def _ask(*command: str) -> str:
    """What a system tool prints, or nothing where it is not there or does not answer."""
    if shutil.which(command[0]) is None:
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=3, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""

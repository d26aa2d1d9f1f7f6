"""The same run again: from the pinned data, code, parameters and seed; then whether it came out the same.

What cannot be restored is said before anything is started, and kept with the result.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import CheckResult, GateStatus, Record, Report, Run, RunStatus
from backends.system_metrics import own
from console.training.command import Command, command_of, start_command
from console.training.command_run import texts_of
from console.training.origin import DIFF
from console.training.start import recipe_of, start_run

KIND: Final = "reproduction"
TAG: Final = "console.reproduces"
TOLERANCE: Final = 1e-9
"""Relative; below it two figures are equal but for the order of additions."""
ENVIRONMENT: Final = "environment.txt"
LIBRARIES: Final = ("scikit-learn", "numpy", "scipy", "pandas", "joblib", "threadpoolctl")
"""Of those recorded, the ones that change what a recipe's training computes."""
PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL
_TIMING: Final = re.compile(r"(^|[._/ ])(time|seconds|duration|latency|elapsed|throughput|rate|system)([._/ ]|$)")


class Plan(Record, frozen=True, kw_only=True):
    """What is needed for the same run again, and how much of it is there."""

    run: str
    parts: tuple[CheckResult, ...]
    """`data`, `code`, `parameters`, `seed`, `libraries`: pass, warn (not as it was) or fail (cannot be had)."""

    @property
    def possible(self) -> bool:
        return not any(part.status is FAIL for part in self.parts)


def plan(backend: Backend, run: Run) -> Plan:
    """What of the run can be restored. Reads only."""
    command = command_of(backend, run)
    if command is not None:
        parts = [_code_of_command(backend, run, command), _environment(backend, run)]
        parts.append(_part("parameters", PASS, "the command line as it was", " ".join(command.argv[:6])))
        parts.append(_part("seed", WARN, "the command's own affair", "whether it sets its seeds is not known here"))
        parts.insert(0, _data(backend, run))
    else:
        recipe_of(backend, run)
        seed = run.params.get("seed", "0")
        parts = [
            _data(backend, run),
            _part("code", PASS, "the console's own worker"),
            _part("parameters", PASS, "the recipe as it was"),
            _part("seed", PASS, seed),
            _environment(backend, run),
        ]
    return Plan(run=run.id, parts=tuple(parts))


def reproduce_run(backend: Backend, run: Run, mutation: Mutation) -> Run:
    """Start the same again. Refused where something that it needs cannot be had."""
    found = plan(backend, run)
    if not found.possible:
        bad = next(part for part in found.parts if part.status is FAIL)
        raise Refused(
            f"run {run.name} ({run.id[:4]}) cannot be reproduced: {bad.check}: {bad.value}. {bad.detail}".strip()
        )
    tags = {TAG: run.id}
    command = command_of(backend, run)
    if command is not None:
        restored = _restored(backend, run, command)
        return start_command(
            backend, restored, mutation, name=run.name, experiment=run.experiment, tags=tags,
            inputs=[each for each in run.inputs if not each.source_type], texts=texts_of(backend, run),
        )  # fmt: skip
    (data,) = run.inputs[:1]
    version = backend.need("datasets").version(data.digest)
    return start_run(
        backend, recipe_of(backend, run), mutation, name=run.name, tags=tags, source=f"recipe of run {run.id[:4]}",
        overrides={"dataset": version.ref, "register": ""}, override_checks=bool(mutation.reason),
    )  # fmt: skip


def original_of(backend: Backend, again: Run) -> Run:
    """The run that this one reproduces."""
    if TAG not in again.tags:
        raise Invalid(
            f"run {again.name} ({again.id[:4]}) reproduces no other; start one with: run reproduce RUN", "run"
        )
    found: Run = backend.need("runs").get(again.tags[TAG])
    return found


def compare_runs(
    backend: Backend, again: Run, mutation: Mutation, *, tolerance: float = 0.0, keep: bool = True
) -> Report:
    """Each metric of the original: equal, within the tolerance (relative) or different. Kept as a report on `again`.

    A metric that says how long something took is shown and not judged.
    """
    original = original_of(backend, again)
    if not again.status.ended:
        raise Invalid(f"run {again.name} ({again.id[:4]}) is {again.status.value}; compare it when it has ended", "run")
    results = [] if again.status is RunStatus.FINISHED else [_part("run", FAIL, again.status.value, again.reason)]
    results += _metrics(own(original.metrics), own(again.metrics), tolerance)
    results += [each for each in plan(backend, original).parts if each.status is not PASS]
    status = (
        FAIL if any(e.status is FAIL for e in results) else WARN if any(e.status is WARN for e in results) else PASS
    )
    report = Report(
        kind=KIND, subject=again.id, status=status, at=int(time.time() * 1000), actor=mutation.actor,
        definition=original.id, results=tuple(results), figures={"tolerance": tolerance},
    )  # fmt: skip
    if keep and backend.reports is not None and not backend.features.read_only:
        return backend.reports.add(report)
    return report


def _metrics(then: Mapping[str, float], now: Mapping[str, float], tolerance: float) -> list[CheckResult]:
    found = []
    for key in sorted(then.keys() | now.keys()):
        if key not in now or key not in then:
            where = "the first run alone" if key in then else "the second run alone"
            found.append(_part(key, WARN, f"in {where}"))
            continue
        found.append(_metric(key, then[key], now[key], tolerance))
    order = {FAIL: 0, WARN: 1, PASS: 2}
    return sorted(found, key=lambda each: order[each.status])


def _metric(key: str, then: float, now: float, tolerance: float) -> CheckResult:
    if then == now or (math.isnan(then) and math.isnan(now)):
        return _part(key, PASS, f"{then:.6g}", "equal")
    off = abs(now - then) / max(abs(then), abs(now)) if math.isfinite(then) and math.isfinite(now) else math.inf
    value = f"{then:.6g}, then {now:.6g}"
    if _TIMING.search(key.lower()):
        return _part(key, PASS, value, "a time: not judged")
    if off <= TOLERANCE:
        return _part(key, PASS, value, "equal but for rounding")
    if off <= tolerance:
        return _part(key, PASS, value, f"within the tolerance: {off:.2g}")
    return _part(key, FAIL, value, f"different by {off:.2g}, relative" if math.isfinite(off) else "different")


# ---------------------------------------------------------------- parts


def _part(name: str, status: GateStatus, value: str, detail: str = "") -> CheckResult:
    return CheckResult(check=name, kind=KIND, status=status, value=value, detail=detail)


def _data(backend: Backend, run: Run) -> CheckResult:
    ours = [each for each in run.inputs if not each.source_type]
    if not ours:
        return _part("data", WARN, "none recorded", "the run named no dataset version of the console")
    for each in ours:
        try:
            version = backend.need("datasets").version(each.digest)
            backend.need("datasets").path(version.ref)
        except NotFound:
            return _part("data", FAIL, f"{each.dataset}@{each.version} is gone", "import the same file again")
    return _part("data", PASS, ", ".join(f"{each.dataset}@{each.version}" for each in ours), ours[0].digest[:12])


def _environment(backend: Backend, run: Run) -> CheckResult:
    """Whether the libraries here are those of the run."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        text = backend.need("artifacts").open(run.id, ENVIRONMENT).read_text(encoding="utf-8")
    except NotFound:
        return _part("libraries", WARN, "not recorded", "the run left no list of its libraries")
    then = dict(line.split("==", 1) for line in text.splitlines() if "==" in line)
    differs = []
    for name in LIBRARIES:
        try:
            now = version(name)
        except PackageNotFoundError:
            now = "absent"
        if name in then and then[name] != now:
            differs.append(f"{name} {then[name]}, here {now}")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = re.match(r"# python (\d+\.\d+)", text)
    if python and python[1] != here:
        differs.append(f"python {python[1]}, here {here}")
    if differs:
        return _part(
            "libraries", WARN, "; ".join(differs), f"install them as in its {ENVIRONMENT} for the same figures"
        )
    return _part("libraries", PASS, "the same")


def _code_of_command(backend: Backend, run: Run, command: Command) -> CheckResult:
    source = run.source
    if not source.commit:
        if not Path(command.cwd).is_dir():
            return _part("code", FAIL, f"{command.cwd} is gone", "and it was under no version control")
        return _part("code", WARN, "as it is in its folder today", "it was under no version control")
    if not _git(command.cwd, "cat-file", "-e", f"{source.commit}^{{commit}}"):
        return _part(
            "code", FAIL, f"commit {source.commit[:12]} is not in {command.cwd}", "fetch it there, then try again"
        )
    if source.dirty:
        try:
            diff = backend.need("artifacts").open(run.id, DIFF).read_text(encoding="utf-8", errors="surrogateescape")
        except NotFound:
            return _part("code", WARN, f"commit {source.commit[:12]}", "without what was changed and not kept")
        if "# not under version control" in diff or "# cut here" in diff:
            return _part(
                "code", WARN, f"commit {source.commit[:12]} with its diff", "without files under no version control"
            )
    return _part("code", PASS, f"commit {source.commit[:12]}" + (" with its diff" if source.dirty else ""))


def _restored(backend: Backend, run: Run, command: Command) -> Command:
    """The command in a folder of its own that holds the commit and the diff; as it is where there was no commit."""
    if not run.source.commit:
        return command
    if backend.home is None:
        raise Refused("this context has no directory in which the code could be laid out")
    top = _git(command.cwd, "rev-parse", "--show-toplevel")
    folder = backend.home / "reproduced" / f"{run.id[:12]}-{time.time_ns() // 1_000_000}"
    folder.mkdir(mode=0o700, parents=True)
    archive = folder.with_suffix(".tar")
    try:
        _must(top, "archive", "--format=tar", f"--output={archive}", run.source.commit)
        import tarfile

        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    finally:
        archive.unlink(missing_ok=True)
    if run.source.dirty:
        try:
            patch = backend.need("artifacts").open(run.id, DIFF)
        except NotFound:
            patch = None
        if patch is not None and any(line.startswith(b"diff --git") for line in patch.read_bytes().splitlines()):
            # git's own check of paths keeps it inside the folder
            _must(str(folder), "apply", "--whitespace=nowarn", str(patch))
    inside = Path(command.cwd).resolve().relative_to(Path(top).resolve())
    return msgspec.structs.replace(command, cwd=str(folder / inside), argv=_moved(command, top, folder))


def _moved(command: Command, top: str, folder: Path) -> tuple[str, ...]:
    """Arguments that name files of the repository name those of the copy."""
    root = str(Path(top))
    return tuple(
        str(folder) + word[len(root) :] if at and (word == root or word.startswith(f"{root}/")) else word
        for at, word in enumerate(command.argv)
    )


def _git(folder: str, *args: str) -> str:
    """What git prints, "yes" where it prints nothing and succeeds, empty where it fails."""
    done = _call(folder, args)
    return (done.stdout.decode("utf-8", "replace").strip() or "yes") if done is not None and not done.returncode else ""


def _must(folder: str, *args: str) -> None:
    done = _call(folder, args)
    if done is None or done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] if done else ["git is not there"]
        raise Refused(f"the code could not be restored: git {args[0]}: {said[0] if said else 'failed'}")


def _call(folder: str, args: tuple[str, ...]) -> subprocess.CompletedProcess[bytes] | None:
    safe = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
    try:
        return subprocess.run(
            ["git", *safe, *args],  # noqa: S607
            cwd=folder, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None

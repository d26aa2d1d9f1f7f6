"""What was changed in the code of runs beside their commit: files, by the diffs that were kept with them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

from backends.contract import Backend, BackendError
from backends.entities import Run
from console.training.origin import MOST_DIFF

Changes = Mapping[str, str]
"""By file: how many lines came and went, and a digest of the change; alike where the change is the same."""

MOST_FILES = 200
UNTRACKED = "# not under version control: "


def changes_of(backend: Backend, runs: Sequence[Run]) -> dict[str, Changes]:
    """By run id what was changed and not committed when it started. Runs without a diff, or with one that cannot be
    read, are left out. Blocks."""
    store = backend.artifacts
    found: dict[str, Changes] = {}
    for run in runs:
        if store is None or not run.source.diff:
            continue
        try:
            with store.open(run.id, run.source.diff).open("rb") as file:
                text = file.read(2 * MOST_DIFF).decode("utf-8", "replace")
        except (BackendError, OSError):
            continue
        found[run.id] = changed_files(text)
    return found


def changed_files(diff: str) -> Changes:
    """The files of a git diff. One that git does not know has no content; the rest of too many is counted."""
    found = dict(_files(diff))
    if len(found) <= MOST_FILES:
        return found
    names = sorted(found)
    rest = "".join(f"{name}\0{found[name]}\0" for name in names[MOST_FILES:])
    kept = {name: found[name] for name in names[:MOST_FILES]}
    return kept | {f"and {len(names) - MOST_FILES} more files": _digest(rest)}


def _files(diff: str) -> Iterator[tuple[str, str]]:
    name, lines = "", list[str]()
    for line in diff.split("\n"):
        if line.startswith(("diff --git ", "# ")):
            if name:
                yield name, _said(lines)
            name, lines = "", []
            if line.startswith(UNTRACKED):
                yield line.removeprefix(UNTRACKED), "new, its content was not kept"
            elif line.startswith("diff --git "):
                name = _name(line)
        elif name and not line.startswith("index "):
            lines.append(line)
    if name:
        yield name, _said(lines)


def _name(head: str) -> str:
    """`diff --git a/x b/x`: both halves are one name, but for a renamed file, whose new name counts."""
    names = head.removeprefix("diff --git ")
    half = len(names) // 2
    one, other = names[:half], names[half + 1 :]
    if one.startswith("a/") and other.startswith("b/") and one[2:] == other[2:]:
        return one[2:]
    return names.rpartition(" b/")[2].rstrip('"')


def _said(lines: Sequence[str]) -> str:
    start = next((at for at, line in enumerate(lines) if line.startswith("@@")), len(lines))
    came = sum(line.startswith("+") for line in lines[start:])
    went = sum(line.startswith("-") for line in lines[start:])
    return f"+{came} -{went} lines, {_digest(chr(10).join(lines))}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]

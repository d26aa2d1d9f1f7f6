"""What replayed rows are held against: what the holder answers to them, else what was logged."""

from __future__ import annotations

from collections.abc import Sequence

from console.serving.answering import Loaded
from console.serving.fetched import VersionFile
from console.serving.replay.answers import Answered, answers
from console.serving.replay.requests import Request
from console.telling import Told, tell


def answers_before(
    rows: Sequence[Request], against: Loaded | None, classifies: bool, progress: Told
) -> list[tuple[Answered | None, VersionFile | None]]:
    """What each row is held against: (answer, the file that gave it again), or (as it was logged, None)."""
    out: list[tuple[Answered | None, VersionFile | None]] = [(_logged(each, classifies), None) for each in rows]
    if against is None:
        return out
    names = against.shape.names
    whole = [place for place, each in enumerate(rows) if all(name in each.columns for name in names)]
    records = [{name: rows[place].columns[name] for name in names} for place in whole]
    found = answers(against, records, lambda done: tell(progress, 0.6 + 0.2 * done / len(records), "asking the holder"))
    for place, answer in zip(whole, found, strict=True):
        if isinstance(answer, Answered):
            out[place] = (answer, against.file)
    return out


def _logged(request: Request, classifies: bool) -> Answered | None:
    if request.value is None:
        return None
    return Answered(str(request.value) if classifies else request.value, request.score)


def echo(
    rows: Sequence[Request], before: Sequence[tuple[Answered | None, VersionFile | None]], against: Loaded | None
) -> tuple[int, int]:
    """(to how many rows that `against` answered itself it says the same again, to how many not)."""
    if against is None:
        return 0, 0
    same = [
        answer.value == logged.value
        for request, (answer, file) in zip(rows, before, strict=True)
        if file is not None and request.version == file.version and answer is not None
        and (logged := _logged(request, against.classifies)) is not None
    ]  # fmt: skip
    return sum(same), len(same) - sum(same)

"""Ask a version what was asked of the deployments of its model. Models are loaded here: only workers come here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from backends.contract import Backend, BackendError, Mutation, NotFound, Refused
from backends.entities import CheckResult, GateStatus, ModelVersion, Report
from console.serving.answering import Loaded
from console.serving.fetched import VersionFile, fetch_version
from console.serving.loaded import load
from console.serving.replay.answers import Failed, answers, meaning_of
from console.serving.replay.before import answers_before, echo
from console.serving.replay.callers import known_texts, sent_columns
from console.serving.replay.compare import differ
from console.serving.replay.figures import KIND, Replay, ReplayJob, Sent
from console.serving.replay.kept import changed_most, reasons_of, score_words
from console.serving.replay.requests import Found, Log, Request, logs_in, logs_of, newest
from console.serving.replay.timing import held_out_rows, time_versions
from console.serving.rows import Rows
from console.telling import Told, tell

PASS, FAIL = GateStatus.PASS, GateStatus.FAIL
_ORDER: Final = (FAIL, GateStatus.WARN, PASS)


def replay(backend: Backend, job: ReplayJob, mutation: Mutation, *, progress: Told = None) -> Report:
    """The report, kept under the version's name. Where nothing was logged it holds times alone.

    NotFound where there are no held-out rows either; Refused for a model file that the console does not load.
    """
    tell(progress, 0.0, "reading the log")
    registry = backend.need("registry")
    version: ModelVersion = registry.version(job.model, job.version)
    logs, found, nothing = _requests(backend, version, job)
    if nothing:
        _held_out(backend, version, nothing)
    tell(progress, 0.1, f"loading v{version.version}")
    asked = _Asked(backend, version, load(fetch_version(backend, version.model, version.version), ignore_extra=True))
    redacted = [
        asked.hidden(each, next((log.redact for log in logs if log.deployment == each.deployment), frozenset()))
        for each in found.requests
    ]
    holder = registry.get(version.model).aliases.get(job.alias)
    against, why = _against(backend, version, holder, job.alias, progress)
    if nothing:
        figures = _times_alone(backend, job, asked, against, why, nothing, progress)
    else:
        figures = _figures(job, found, asked, against, why, redacted, progress)
    results = _results(figures)
    report = Report(
        kind=KIND,
        subject=version.ref,
        status=min((each.status for each in results), key=_ORDER.index, default=PASS),
        at=int(time.time() * 1000),
        actor=mutation.actor,
        digest=version.file.sha256,
        results=results,
        figures=msgspec.to_builtins(figures),
    )
    return backend.reports.add(report) if backend.reports is not None and not backend.features.read_only else report


def _requests(backend: Backend, version: ModelVersion, job: ReplayJob) -> tuple[tuple[Log, ...], Found, str]:
    """(the logs, their newest rows, why there is none)."""
    if job.log:
        logs, nobody = logs_in(job.log), ""
    else:
        try:
            logs, nobody = logs_of(backend, version.model), ""
        except NotFound as error:
            logs, nobody = (), str(error)
    found = newest(logs, job.rows)
    if found.requests or nobody:
        return logs, found, nobody
    where = ", ".join(each.deployment for each in logs)
    return (
        logs,
        found,
        f"no request is in the prediction log of {where}{_spoiled(found)}, so there is nothing to replay; send it "
        "some, they are logged within a second.",
    )


def _held_out(backend: Backend, version: ModelVersion, nothing: str) -> None:
    """NotFound, with why there are no requests, where no held-out rows were kept either."""
    from console.training.held_out_rows import judged

    try:
        judged(backend, version.model, version.version)
    except BackendError:
        raise NotFound(nothing) from None


def _times_alone(
    backend: Backend, job: ReplayJob, asked: _Asked, against: Loaded | None, why: str, nothing: str, progress: Told
) -> Replay:
    """Without requests the versions are timed on rows held out from their training."""
    tell(progress, 0.5, "timing on held-out rows")
    loaded, rows = [asked.loaded], [held_out_rows(backend, asked.loaded)]
    if against is not None and (own := held_out_rows(backend, against)):
        loaded.append(against)
        rows.append(own)
    return Replay(
        asked=job.rows,
        logged=0,
        nothing=nothing,
        against=against.file.version if against is not None else "",
        why_logged=why,
        timings=time_versions(loaded, rows, [_bytes(each) for each in loaded]),
    )


class _Asked:
    """The version that is asked, and what is known of those that answered before."""

    def __init__(self, backend: Backend, version: ModelVersion, loaded: Loaded) -> None:
        self.version = version
        self.loaded = loaded
        self._backend = backend
        self._files: dict[str, VersionFile | None] = {version.version: loaded.file}

    def answered(self, version: str) -> VersionFile | None:
        """Of a version that answered; None where it is not there any more."""
        if version not in self._files:
            try:
                self._files[version] = fetch_version(self._backend, self.version.model, version)
            except BackendError:
                self._files[version] = None
        return self._files[version]

    def hidden(self, request: Request, redact: frozenset[str]) -> frozenset[str]:
        """Columns that were sent and are not in the log: the answering version had them, or they are redacted today."""
        file = self.answered(request.version)
        had = frozenset(column.name for column in file.features) if file is not None else redact
        return had - request.columns.keys()


def _against(
    backend: Backend, version: ModelVersion, holder: str | None, alias: str, progress: Told
) -> tuple[Loaded | None, str]:
    """The holder of the alias, loaded; or None and why the logged answers stand in for its."""
    if holder is None:
        return None, f"{alias} has no holder"
    if holder == version.version:
        return None, f"v{holder} is {alias} itself"
    tell(progress, 0.3, f"loading v{holder}")
    try:
        return load(fetch_version(backend, version.model, holder), ignore_extra=True), ""
    except (NotFound, Refused) as error:
        return None, f"v{holder}, which is {alias}, was not loaded: {error}"


def _figures(
    job: ReplayJob,
    found: Found,
    asked: _Asked,
    against: Loaded | None,
    why: str,
    redacted: Sequence[frozenset[str]],
    progress: Told,
) -> Replay:
    requests, loaded = found.requests, asked.loaded
    names = loaded.shape.names
    skipped = [_absent(names, each, gone) for each, gone in zip(requests, redacted, strict=True)]
    at = [place for place, reason in enumerate(skipped) if not reason]
    rows = [requests[place] for place in at]
    records = [{name: each.columns[name] for name in names} for each in rows]
    after = answers(loaded, records, lambda done: tell(progress, 0.4 + 0.2 * done / len(records), "asking"))
    before = answers_before(rows, against, loaded.classifies, progress)
    pairs, places, fair, as_logged = [], [], [], 0
    for place, (mine, (theirs, file)) in enumerate(zip(after, before, strict=True)):
        if isinstance(mine, Failed) or theirs is None:
            continue
        known = file if file is not None else asked.answered(rows[place].version)
        as_logged += file is None
        pairs.append((theirs, mine))
        places.append(place)
        fair.append(known is not None and meaning_of(known) == meaning_of(loaded.file))
    difference = differ(pairs, fair, job.tolerance)
    echoed, differed = echo(rows, before, against)
    tell(progress, 0.8, "timing")
    usable = [place for place in places if against is None or before[place][1] is not None]
    versions = [loaded] if against is None else [loaded, against]
    sizes = [asked.version.file.bytes, *([_bytes(against)] if against is not None else [])]
    return Replay(
        asked=job.rows,
        logged=len(requests),
        unreadable=found.unreadable,
        first=requests[0].at,
        last=requests[-1].at,
        deployments=tuple(dict.fromkeys(each.deployment for each in requests)),
        answered_by=dict(Counter(each.version for each in requests).most_common()),
        against=against.file.version if against is not None else "",
        why_logged=why,
        as_logged=as_logged if against is not None else 0,
        replayed=len(pairs),
        skipped=reasons_of([(reason, each) for reason, each in zip(skipped, requests, strict=True) if reason])
        + reasons_of(
            [
                ("its logged answer is not known", rows[place])
                for place, (mine, (theirs, _)) in enumerate(zip(after, before, strict=True))
                if theirs is None and not isinstance(mine, Failed)
            ]
        ),
        failed=reasons_of(
            [(mine.why, each) for mine, each in zip(after, rows, strict=True) if isinstance(mine, Failed)]
        ),
        changed=sum(difference.changed),
        share=difference.share,
        tolerance=difference.tolerance,
        mean_moved=difference.mean,
        max_moved=difference.largest,
        score=score_words(meaning_of(loaded.file), asked.loaded.file.target, difference),
        echoed=echoed,
        differed=differed,
        most=changed_most(
            difference,
            pairs,
            [rows[place] for place in places],
            [redacted[at[place]] for place in places],
            meaning_of(loaded.file).classes,
        ),
        sent=_sent(requests, redacted, loaded),
        categories="" if _levels(loaded) or not _textual(loaded) else "its encoders do not say which texts they saw",
        timings=time_versions(
            versions, [_in_columns(each, [rows[place] for place in usable]) for each in versions], sizes
        ),
    )


# ---------------------------------------------------------------- answers


def _absent(names: Sequence[str], request: Request, redacted: frozenset[str]) -> str:
    """Why this row cannot be asked, or nothing."""
    absent = [name for name in names if name not in request.columns]
    hidden = [name for name in absent if name in redacted]
    if hidden:
        return f"{_few(hidden)} redacted in the log"
    return f"no {_few(absent)} in the log" if absent else ""


# ---------------------------------------------------------------- columns


def _sent(requests: Sequence[Request], redacted: Sequence[frozenset[str]], loaded: Loaded) -> tuple[Sent, ...]:
    return sent_columns([each.columns for each in requests], redacted, loaded.shape, _levels(loaded))


def _levels(loaded: Loaded) -> dict[str, frozenset[str]]:
    return known_texts(loaded.model, loaded.shape.names)


def _textual(loaded: Loaded) -> bool:
    return any(column.type.value == "string" for column in loaded.shape.features)


def _in_columns(loaded: Loaded, rows: Sequence[Request]) -> list[Rows]:
    names = loaded.shape.names
    return [loaded.shape.of_records([{name: each.columns[name] for name in names}], of="row") for each in rows]


def _bytes(loaded: Loaded) -> int:
    from pathlib import Path

    return Path(loaded.file.path).stat().st_size


def _few(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(name[:60] for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _spoiled(found: Found) -> str:
    return f" ({found.unreadable} lines are none)" if found.unreadable else ""


# ---------------------------------------------------------------- as a report


def _results(figures: Replay) -> tuple[CheckResult, ...]:
    """What needs no limit to be judged: rows without an answer, and columns."""
    if not figures.logged:
        return ()
    failed = figures.failed_rows
    out = [
        CheckResult(
            check="answers",
            kind="answers",
            status=FAIL if failed else PASS,
            value=f"{failed} of {figures.logged - figures.skipped_rows} rows have no answer",
            rule="every row that can be asked is answered",
            detail="; ".join(f"{each.why} ({each.rows})" for each in figures.failed[:3]),
            failing=failed,
            rows=figures.logged - figures.skipped_rows,
        )
    ]
    out += [
        CheckResult(
            check=f"{each.column}: {each.kind}",
            kind="callers",
            status=each.status,
            columns=(each.column,),
            value=f"{each.rows} of {figures.logged} rows",
            rule="callers send what the version takes",
            detail=each.note,
            failing=each.rows,
            rows=figures.logged,
        )
        for each in figures.sent
    ]
    return tuple(out)

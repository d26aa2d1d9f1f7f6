"""What changed upstream near the onset: promotions, deploys, data, and whatever else the journal knows. Plain
Python."""

from __future__ import annotations

from collections.abc import Sequence

from backends.contract import Backend, BackendError, NotFound
from backends.entities import DatasetVersion, JournalEntry, Millis, ModelVersion, Monitor, Outcome, Record
from backends.query import And, Compare, Key, Node, Query

MOST = 30
OURS = ("monitor.", "alert.", "trigger.", "mute.", "delivery.")
"""What is said about the trouble is no cause of it."""
MOVES = ("model.promote", "model.rollback", "model.unalias", "model.undo", "model.alias")


class Upstream(Record, frozen=True, kw_only=True):
    """One change near the onset."""

    at: Millis
    kind: str
    """`promotion`, `model`, `deploy`, `dataset` or `journal`."""
    what: str
    """In words: `champion of flights: v1 → v2`."""
    who: str = ""
    reason: str = ""
    near: bool = False
    """It is about this monitor's model, what serves it, or the data that it was trained on."""
    before: str = ""
    after: str = ""
    """The dataset versions to hold against each other, where it is one."""
    difference: tuple[str, ...] = ()
    """What differs between them, in words; empty until `data_difference` has compared them."""


def upstream(
    backend: Backend, monitor: Monitor, version: ModelVersion, since: Millis, until: Millis
) -> tuple[tuple[Upstream, ...], tuple[str, ...]]:
    """The changes between two moments, those about this model first, newest first; and what could not be read."""
    notes: list[str] = []
    trained = _trained_on(backend, version)
    datasets = tuple(trained)
    found: list[Upstream] = []
    journal = backend.journal
    if journal is None:
        notes.append(f"this context keeps no journal: {backend.missing.get('journal', 'nobody wrote what changed')}")
    else:
        at = Key("attribute", "at")
        where: Node = And((Compare(at, ">=", since), Compare(at, "<=", until)))
        page = journal.page(Query(where=where), limit=200)
        if page.next:
            notes.append("more than 200 changes were journaled near the onset; the newest 200 were looked at")
        found += [_entry(entry, monitor, datasets) for entry in page.items if _counts(entry)]
    for name in datasets:
        try:
            near = _versions(backend, name, since, until)
            found += near
            found += _since_training(backend, version, trained[name], near)
        except BackendError as error:
            notes.append(f"versions of {name} could not be read: {error}")
    found.sort(key=lambda each: (not each.near, -each.at))
    return tuple(found[:MOST]), tuple(notes)


def _counts(entry: JournalEntry) -> bool:
    return entry.outcome is Outcome.DONE and not entry.action.startswith(OURS) and entry.action != "dataset.add"


def _entry(entry: JournalEntry, monitor: Monitor, datasets: Sequence[str]) -> Upstream:
    noun = entry.action.partition(".")[0]
    kind = noun if noun in ("model", "deploy", "dataset") else "journal"
    change = _change(entry)
    if entry.action in MOVES:
        kind = "promotion"
    names = {monitor.model, monitor.deployment, *datasets} - {""}
    bare = entry.target.split("@")[0]
    near = bare in names or str(entry.after.get("model", entry.before.get("model", ""))) == monitor.model
    return Upstream(
        at=entry.at,
        kind=kind,
        what=f"{entry.action} {entry.target}{f': {change}' if change else ''}",
        who=entry.actor,
        reason=entry.reason,
        near=near,
    )


def _change(entry: JournalEntry) -> str:
    """The first fields that a change was about, from → to."""
    parts = []
    for field in [*entry.after, *(field for field in entry.before if field not in entry.after)]:
        old, new = entry.before.get(field), entry.after.get(field)
        if isinstance(old, dict | list) or isinstance(new, dict | list) or old == new:
            continue
        parts.append(f"{field} {'–' if old is None else old} → {'–' if new is None else new}")
    return ", ".join(parts[:3])


def _trained_on(backend: Backend, version: ModelVersion) -> dict[str, str]:
    """Dataset that the version was trained on → which version of it."""
    if backend.runs is None or not version.run:
        return {}
    try:
        run = backend.runs.get(version.run)
    except NotFound:
        return {}
    return {read.dataset: f"{read.dataset}@{read.version}" for read in reversed(run.inputs)}


def _since_training(backend: Backend, version: ModelVersion, trained: str, told: Sequence[Upstream]) -> list[Upstream]:
    """The dataset as it is by now, where that is not what the model was trained on; whenever that came."""
    if backend.datasets is None:
        return []
    newest: DatasetVersion = backend.datasets.version(trained.partition("@")[0])
    if newest.ref == trained or any((each.before, each.after) == (trained, newest.ref) for each in told):
        return []
    return [
        Upstream(
            at=newest.created_at,
            kind="dataset",
            what=f"{newest.ref} is what the data is by now; v{version.version} was trained on {trained}",
            who=newest.created_by,
            near=True,
            before=trained,
            after=newest.ref,
        )
    ]


def _versions(backend: Backend, name: str, since: Millis, until: Millis) -> list[Upstream]:
    if backend.datasets is None:
        return []
    versions: list[DatasetVersion] = sorted(
        backend.datasets.versions(name, limit=200).items, key=lambda each: each.created_at
    )
    return [
        Upstream(
            at=each.created_at,
            kind="dataset",
            what=f"{each.ref}: {each.rows} rows"
            + (f", {each.rows - earlier.rows:+d} against {earlier.ref}" if earlier is not None else ", the first"),
            who=each.created_by,
            near=True,
            before="" if earlier is None else earlier.ref,
            after=each.ref,
        )
        for earlier, each in zip([None, *versions], versions, strict=False)
        if since <= each.created_at <= until
    ]

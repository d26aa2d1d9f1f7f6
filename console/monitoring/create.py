"""Make, pause, resume and delete monitors."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from backends.contract import Backend, Conflict, Invalid, Mutation, NotFound
from backends.entities import Deployment, Millis, Monitor, Segment
from console.monitoring.alarms.policy import read_policy
from console.monitoring.alarms.rules import Rule, read_rules
from console.monitoring.counted.segments import check_segments
from console.monitoring.counted.windows import LENGTHS
from console.monitoring.folder import check_name, monitor_folder
from console.monitoring.quality.ranking import METRICS, MOST, TOP
from console.retention.monitors import read_keep

TIME, IDENT = "prediction.time", "prediction.id"
"""Columns of a server's prediction log."""


def create_monitor(
    backend: Backend,
    name: str,
    model: str,
    *,
    mutation: Mutation,
    alias: str = "champion",
    source: str = "",
    time_column: str = "",
    label_column: str = "",
    id_column: str = "",
    window: str = "day",
    policy: dict[str, float] | None = None,
    note: str = "",
    redact: Sequence[str] = (),
    segments: Sequence[Segment] = (),
    protected: Sequence[str] = (),
    deployment: str = "",
    group_column: str = "",
    top: int | None = None,
) -> Monitor:
    """A new monitor of the version that `alias` of `model` names, now and whenever it moves.

    source: folder to watch, or empty to hand batches in. redact: columns whose values no sample keeps.
    segments: parts that are counted beside the whole. protected: columns between whose groups the answers are compared.
    group_column: which query a row answers, for ranking metrics. top: ranks that those look at, `TOP` where neither
    this nor `top` of the policy says another number.
    deployment: whose prediction log feeds it; model, time and id are then those of the log.
    Raises Invalid naming the field, NotFound for the model, Conflict where the name is taken.
    """
    check_name(name)
    if deployment:
        served = backend.need("deployments").get(deployment)
        _check_deployment(served, model)
        model = served.model
        time_column, id_column = time_column or TIME, id_column or IDENT
        redact = tuple(dict.fromkeys((*redact, *served.redact)))
    if window not in (*LENGTHS, "batch"):
        raise Invalid(f"window {window!r} is not known: use minute, hour, day or batch", "window")
    if top is not None and not group_column:
        raise Invalid(
            f"top {top} says how many ranks count, and nothing is ranked: name the column that the rows of a query "
            "have in common as the group column, or leave top out",
            "top",
        )
    if group_column and group_column in (id_column, label_column, time_column):
        raise Invalid(
            f"group column {group_column!r} is the id, label or time column too; name the one that the rows of a query "
            "have in common",
            "group_column",
        )
    policy = dict(policy or {})
    usual = policy.pop("top", TOP)
    top = _top(usual if top is None else top)
    read_policy(policy)
    registry = backend.need("registry")
    found = registry.get(model)
    if alias not in found.aliases:
        have = ", ".join(sorted(found.aliases)) or "none"
        raise NotFound(
            f"model {model} has no alias {alias!r} (it has: {have}); promote a version first, or name another alias"
        )
    folder = _source(source)
    store = backend.need("monitors")
    try:
        store.get(name)
    except NotFound:
        pass
    else:
        raise Conflict(f"there is a monitor {name} already; choose another name, or change that one")
    wanted = Monitor(
        name=name,
        model=model,
        alias=alias,
        source=folder,
        time_column=time_column,
        label_column=label_column,
        id_column=id_column,
        window=window,
        policy=policy,
        created_at=_now(),
        created_by=mutation.actor,
        note=note,
        redact=tuple(redact),
        segments=tuple(segments),
        protected=tuple(dict.fromkeys(protected)),
        deployment=deployment,
        group_column=group_column,
        top=top if group_column else TOP,
    )
    check_segments(backend, wanted, wanted.segments, wanted.protected)
    monitor: Monitor = store.put(wanted, mutation.named("monitor.create"))
    monitor_folder(backend, name)
    return monitor


def set_policy(backend: Backend, name: str, policy: dict[str, float], mutation: Mutation) -> Monitor:
    """Replace the alert policy. Raises Invalid naming the key that is wrong."""
    read_policy(policy)
    return _judged_anew(backend, _change(backend, name, mutation.named("monitor.policy"), policy=dict(policy)))


def set_rules(backend: Backend, name: str, rules: str, mutation: Mutation) -> Monitor:
    """Replace the alert rules (TOML; empty for the default ones). Raises Invalid naming what is wrong."""
    if rules:
        _check_ranked(backend, name, read_rules(rules))
    return _judged_anew(backend, _change(backend, name, mutation.named("monitor.policy"), rules=rules))


def _judged_anew(backend: Backend, monitor: Monitor) -> Monitor:
    """Nobody waits for the next row to hear what the new rules say of the newest ones."""
    from console.monitoring.alarms.review import drop_unasked, review
    from console.monitoring.alarms.service_review import review_service
    from console.monitoring.reference import as_ranked_by, read_profile

    store = backend.need("monitors")
    drop_unasked(backend, monitor)
    windows = store.windows(monitor.name, limit=1)
    if windows:
        version, profile = windows[-1].model_version, None
        with suppress(NotFound, Invalid):  # what windows are held against is gone or damaged: the monitor says so
            profile = read_profile(backend, backend.need("registry").version(monitor.model, version))
        if profile is not None:
            review(backend, monitor, as_ranked_by(profile, monitor), version)
    review_service(backend, monitor.deployment or f"monitor:{monitor.name}")
    found: Monitor = store.get(monitor.name)
    return found


def _check_ranked(backend: Backend, name: str, rules: Sequence[Rule]) -> None:
    """A rule that holds the order against a reference which there is not would never speak up."""
    wanted = next((rule for rule in rules if rule.worse_by is not None and rule.metric in METRICS), None)
    if wanted is None:
        return
    from console.monitoring.feeds.champion import read_champion

    monitor = backend.need("monitors").get(name)
    said = f"rule {wanted.name!r}: {wanted.metric} is to be held against the reference, and"
    if not monitor.group_column:
        raise Invalid(f"{said} {name} ranks nothing; create it with --group COLUMN", "worse_by")
    found = read_champion(backend, monitor)
    if wanted.metric not in found.profile.ranking:
        over = "" if monitor.top == TOP else f" over the first {monitor.top}"
        raise Invalid(
            f"{said} that of {found.version.ref} has none within {monitor.group_column!r}{over}: train it with "
            f'[split] by = "group", column = "{monitor.group_column}", or say below = …',
            "worse_by",
        )


def set_keep(backend: Backend, name: str, keep: Mapping[str, str], mutation: Mutation) -> Monitor:
    """Replace how long what is kept of it (words as in `console.retention.monitors`; none for what the store says).
    Raises Invalid naming what is wrong."""
    read_keep(keep)
    return _change(backend, name, mutation.named("monitor.retention"), keep=dict(keep))


def pause_monitor(backend: Backend, name: str, mutation: Mutation) -> Monitor:
    """Stop watching its folder; batches handed in are still taken."""
    return _change(backend, name, mutation.named("monitor.pause"), paused=True)


def resume_monitor(backend: Backend, name: str, mutation: Mutation) -> Monitor:
    """Watch its folder again; files that came meanwhile are taken."""
    return _change(backend, name, mutation.named("monitor.resume"), paused=False)


def delete_monitor(backend: Backend, name: str, mutation: Mutation) -> None:
    """Remove the monitor with its windows, alerts and kept predictions. The files in its source folder stay."""
    backend.need("monitors").delete(name, mutation)
    if backend.home is not None:
        shutil.rmtree(monitor_folder(backend, name), ignore_errors=True)


def _check_deployment(served: Deployment, model: str) -> None:
    if model and model != served.model:
        raise Invalid(f"deployment {served.name} serves {served.model} and not {model}; leave the model out", "model")
    if not served.log:
        raise Invalid(
            f"deployment {served.name} keeps no log of its predictions, which would feed the monitor; "
            f"switch it on with: deploy change {served.name} --log",
            "deployment",
        )


def _top(top: float) -> int:
    if not 1 <= top <= MOST or top != int(top):
        raise Invalid(
            f"the ranks that NDCG and the like look at are a whole number from 1 to {MOST}, and top is {top:g}", "top"
        )
    return int(top)


def _source(source: str) -> str:
    if not source:
        return ""
    folder = Path(source).expanduser().absolute()
    if not folder.exists():
        raise Invalid(f"there is no folder {folder} to watch; make it first, or leave the source out", "source")
    if not folder.is_dir():
        raise Invalid(
            f"{folder} is a file; a monitor watches a folder. Hand single files in with: monitor ingest", "source"
        )
    return str(folder)


def _change(backend: Backend, name: str, mutation: Mutation, **changes: object) -> Monitor:
    store = backend.need("monitors")
    changed: Monitor = store.put(msgspec.structs.replace(store.get(name), **changes), mutation)
    return changed


def _now() -> Millis:
    return int(time.time() * 1000)

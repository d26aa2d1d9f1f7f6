"""What is promised of what could go for good: nothing that a registered version stands on, and nothing twice."""

from __future__ import annotations

import re

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.listing import some, unknown
from backends.checks.listings import MODELS, RUNS, a_model
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.contract import NotFound, Page
from backends.entities import Model, ModelVersion, Run
from backends.entities.holdings import Holdings, Room, RunHolding

_MOST_RUNS = 20_000
"""Of a store with more, looking through all its files takes longer than one small question may."""


def _holdings(look: Look) -> Holdings:
    def ask() -> Holdings:
        store = look.the("retention")
        if look.backend.runs is not None:
            page: Page[Run] = look.the("runs").page(limit=1)
            if page.total is None or page.total > _MOST_RUNS:
                raise Unseen("of so many runs the files are looked through by `clean --dry-run`")
        found: Holdings = store.holdings()
        return found

    return look.once("holdings", ask)


@promise("retention", "what could go is told once each, with when it ended and how much it is")
def each_once(look: Look) -> str:
    found = _holdings(look)
    if not isinstance(found, Holdings):
        raise Wrong("Holdings", f"a {type(found).__name__}")
    for kind, names in (
        ("run", [each.run for each in found.runs]),
        ("version of a dataset", [each.ref for each in found.data]),
        ("leftover", [each.path for each in found.leftovers]),
    ):
        twice = sorted({name for name in names if names.count(name) > 1}) if len(names) <= MANY * MANY else []
        if twice:
            raise Wrong(f"each {kind} once", f"{listed(twice)} more than once")
    for each in found.runs[:MANY]:
        check_record(each, RunHolding, f"run {each.run[:12]}")
        sizes = (each.folder_bytes, each.copies_bytes, each.log_bytes, *(file.bytes for file in each.files))
        if min(sizes) < 0:
            raise Wrong(f"bytes of run {each.run[:12]}", shown(min(sizes)))
    outside = [each.path for each in found.leftovers if each.path.startswith("/") or ".." in each.path.split("/")]
    if outside:
        raise Wrong("leftovers within the workspace", listed(outside))
    return f"{len(found.runs)} runs, {len(found.data)} versions of datasets, {len(found.leftovers)} leftovers"


@promise("retention", "a run that has not ended cannot go")
def only_what_ended(look: Look) -> str:
    going = {each.run for each in _holdings(look).runs}
    begun = [run.id for run in some(look, RUNS) if run.ended_at is None and run.id in going]
    if begun:
        raise Wrong("runs that have ended alone", listed([each[:12] for each in begun]))
    return f"{len(going)} runs"


@promise("retention", "no rule takes a run that a registered version came from, and why is told")
def versions_are_needed(look: Look) -> str:
    held = {each.run: each for each in _holdings(look).runs}
    seen = 0
    for model in _with_versions(look):
        versions: tuple[ModelVersion, ...] = look.the("registry").versions(model.name, limit=MANY).items
        for version in versions:
            if version.run not in held:
                continue
            seen += 1
            kept = held[version.run]
            if not (kept.needed.strip() or kept.wanted.strip()):
                raise Wrong(f"a reason why run {version.run[:12]} stays: {version.ref} came from it", "none")
    if not seen:
        raise Unseen("no version came from a run that is kept here")
    return f"{seen} runs of versions"


def _with_versions(look: Look) -> list[Model]:
    most = a_model(look)
    return [most, *(each for each in some(look, MODELS) if each.versions and each.name != most.name)][:5]


@promise("retention", "what a run takes is told, at least as much as its log; of one that is not there NotFound")
def room(look: Look) -> str:
    store = look.the("retention")
    elsewhere = True
    for each in _holdings(look).runs[:3]:
        found: Room | None = store.room(each.run)
        if found is None:
            continue
        elsewhere = False
        check_record(found, Room, f"room of run {each.run[:12]}")
        if not 0 <= found.log <= found.bytes or not 0 <= found.shared <= found.bytes:
            raise Wrong(f"log and shared of run {each.run[:12]} within its {found.bytes} bytes", shown(found))
    if elsewhere:
        raise Unseen("files of runs are kept by another store, or no run has ended")
    try:
        shown(store.room(re.sub("[^0-9a-f]", "0", unknown())[-32:]))
    except NotFound:
        return ""
    raise Wrong("NotFound for the room of a run that is not there", "an answer")

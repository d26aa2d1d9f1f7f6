"""What a store of runs promises besides its lists: columns, counts, and the course of metrics."""

from __future__ import annotations

import math

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.listing import some, unknown
from backends.checks.listings import RUNS
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.checks.records import check_record
from backends.contract import Invalid, NotFound, all_pages
from backends.entities import Experiment, MetricPoint, Run
from backends.query import Compare, Key, Query

_POINTS = 2_000


@promise("runs", "columns that are named are the only ones that are filled in")
def columns(look: Look) -> str:
    found: list[Run] = some(look, RUNS)
    run = next((each for each in found if len(each.metrics) + len(each.params) > 1), None)
    if run is None:
        raise Unseen("no run has two metrics or parameters")
    metric, param = next(iter(run.metrics), "none"), next(iter(run.params), "none")
    for each in look.the("runs").page(limit=MANY, columns=[f"metrics.{metric}", f"params.{param}"]).items:
        beyond = sorted(set(each.metrics) - {metric} | set(each.params) - {param} | set(each.tags))
        if beyond:
            raise Wrong(f"metrics.{metric} and params.{param} alone", listed(beyond))
        if each.id == run.id and (metric in run.metrics) and metric not in each.metrics:
            raise Wrong(f"metrics.{metric} of run {run.id[:12]}", "nothing under that name")
    return f"{shown(metric, 40)}, {shown(param, 40)}"


@promise("runs", "deleted runs are listed only when they are asked for")
def deleted(look: Look) -> str:
    seen = [run.id for run in some(look, RUNS) if run.deleted_at is not None]
    if seen:
        raise Wrong("no deleted runs in a plain list", listed(seen))
    gone = look.the("runs").page(limit=3, deleted=True).items
    alive = [run.id for run in gone if run.deleted_at is None]
    if alive:
        raise Wrong("deleted runs alone", listed(alive))
    return f"{len(gone)} of the deleted"


@promise("runs", "a count is the length of its list, and stops at its limit")
def counts(look: Look) -> str:
    runs, found = look.the("runs"), some(look, RUNS)
    query = Query(where=Compare(Key("attribute", "status"), "=", str(found[0].status)))
    page = runs.page(query, limit=MANY)
    count = runs.count(query, limit=MANY)
    if page.next is None and count.value != len(page.items):
        raise Wrong(f"{len(page.items)} runs, as the list has", f"{count.value}")
    if count.value > MANY or (count.exact and page.next is not None and count.value < len(page.items)):
        raise Wrong(f"at most {MANY}, the limit", f"{count.value}{'' if count.exact else ', not exact'}")
    few = runs.count(limit=1)
    if few.value < (len(found) if few.exact else 1) or (not few.exact and few.value > 1):
        raise Wrong(f"{len(found)} or 1, not exact, for limit=1", f"{few.value}{'' if few.exact else ', not exact'}")
    return f"{count.value} {found[0].status}"


def _measured(look: Look) -> tuple[Run, tuple[MetricPoint, ...]]:
    """A run that has ended and measured something, with the latest of it."""

    def ask() -> tuple[Run, tuple[MetricPoint, ...]]:
        found: list[Run] = [run for run in some(look, RUNS) if run.metrics]
        if not found:
            raise Unseen("no run of the first has a metric")
        run = max(found, key=lambda each: (each.status.ended, len(each.metrics)))
        return run, look.the("runs").latest(run.id)

    return look.once("measured", ask)


@promise("runs", "the latest points are one of each metric, by key, as the run tells them")
def latest(look: Look) -> str:
    run, points = _measured(look)
    keys = [point.key for point in points]
    if keys != sorted(set(keys)):
        raise Wrong("one point of each metric, by key", listed(keys, 8))
    for point in points:
        check_record(point, MetricPoint, f"the latest {point.key}")
        told = run.metrics.get(point.key)
        same = told is not None and (told == point.value or (math.isnan(told) and math.isnan(point.value)))
        if run.status.ended and not same:
            raise Wrong(f"{point.key} = {told}, as run {run.id[:12]} tells", f"{point.value}")
    left = sorted(set(run.metrics) - set(keys))
    if left:
        raise Wrong(f"the latest point of {listed(left)}", "none")
    return f"{len(points)} metrics of {run.id[:12]}"


@promise("runs", "the points of a metric come by step, the same over several pages")
def points(look: Look) -> str:
    run, last = _measured(look)
    runs = look.the("runs")
    key = max(last, key=lambda point: point.step).key
    page = runs.points(run.id, key, limit=_POINTS)
    whole: list[MetricPoint] = list(page.items)
    if not whole:
        raise Wrong(f"points of {key}, which has a latest one", "none")
    steps = [point.step for point in whole]
    if steps != sorted(steps):
        raise Wrong("points by step", listed([str(step) for step in steps], 8))
    other = {point.key for point in whole} - {key}
    if other:
        raise Wrong(f"points of {key} alone", listed(sorted(other)))
    half = max(1, len(whole) // 2)
    if len(whole) > 1 and page.next is None and len(whole) <= 200:
        cut = list(all_pages(lambda at: runs.points(run.id, key, at=at, limit=half)))
        if [(p.step, p.at) for p in cut] != [(p.step, p.at) for p in whole]:
            raise Wrong(f"the same {len(whole)} points by pages of {half}", f"{len(cut)} points")
    known = next(point for point in last if point.key == key)
    if page.next is None and run.status.ended and known.step != max(steps):
        raise Wrong(f"the latest {key} at step {max(steps)}", f"at step {known.step}")
    if (none := runs.points(run.id, unknown()).items) != ():
        raise Wrong("no points of a metric that was never logged", f"{len(none)}")
    return f"{len(whole)} of {key}"


@promise("runs", "a course has no more buckets than asked for, in order, its lows under its highs")
def course(look: Look) -> str:
    run, last = _measured(look)
    key = max(last, key=lambda point: point.step).key
    series = look.the("runs").series(run.id, key, buckets=20)
    if len(series.buckets) > 20:
        raise Wrong("20 buckets at most", f"{len(series.buckets)}")
    if not series.buckets or series.count < 1:
        raise Wrong(f"the course of {key}, which has points", "nothing")
    before = None
    for bucket in series.buckets:
        if bucket.first_step > bucket.last_step or (before is not None and bucket.first_step < before):
            raise Wrong("buckets that go up by step", f"{bucket.first_step}-{bucket.last_step} after {before}")
        if not math.isnan(bucket.low) and not bucket.low <= bucket.last <= bucket.high:
            raise Wrong("low <= last <= high", f"{bucket.low}, {bucket.last}, {bucket.high}")
        before = bucket.last_step
    return f"{len(series.buckets)} buckets of {series.count} points"


@promise("runs", "the keys that are known are those that runs have, by scope and by beginning")
def keys(look: Look) -> str:
    runs, found = look.the("runs"), some(look, RUNS)
    told = []
    for scope in ("metrics", "params", "tags"):
        had = sorted({name for run in found for name in getattr(run, scope)})
        known = runs.keys(scope, limit=1_000)
        lost = [name for name in had if name not in known]
        if lost and len(known) < 1_000:
            raise Wrong(f"{listed(lost)} among {scope}", listed(list(known), 8))
        if had and len(had[0]) > 1:
            beside = [name for name in runs.keys(scope, prefix=had[0][:2]) if not name.startswith(had[0][:2])]
            if beside:
                raise Wrong(f"{scope} that begin with {had[0][:2]}", listed(beside))
        told.append(f"{len(known)} {scope}")
    try:
        runs.keys("colours")
    except Invalid:
        return ", ".join(told)
    raise Wrong("Invalid for keys of what is none of metrics, params, tags", "an answer")


@promise("runs", "experiments of runs are there, by name")
def experiments(look: Look) -> str:
    found: tuple[Experiment, ...] = look.the("runs").experiments()
    names = [each.name for each in found]
    if names != sorted(names):
        raise Wrong("experiments by name", listed(names, 6))
    lost = sorted({run.experiment for run in some(look, RUNS)} - set(names))
    if lost:
        raise Wrong(f"the experiment {lost[0]} of a run", listed(names, 6))
    for each in found[:MANY]:
        check_record(each, Experiment, f"experiment {each.name}")
    return f"{len(names)}"


@promise("runs", "what features say of lists is so: row numbers, places of ids, totals")
def features(look: Look) -> str:
    said, runs, found = look.whole.features, look.the("runs"), some(look, RUNS)
    page = runs.page(limit=3)
    if said.count and page.total is None:
        raise Wrong("the total of a list, as features.count says", "total=None")
    if page.total is not None and page.total < len(page.items):
        raise Wrong(f"a total of {len(page.items)} at least", f"{page.total}")
    if said.seek:
        row = len(found) // 2
        by_number = runs.page(at=f"#{row}", limit=3)
        if not by_number.items or by_number.items[0].id != found[row].id or by_number.first not in (None, row):
            raise Wrong(
                f"run {found[row].id[:12]} at #{row}, as features.seek says", listed([r.id for r in by_number.items])
            )
        by_id = runs.page(at=f"@{found[row].id}", limit=3)
        if found[row].id not in [run.id for run in by_id.items]:
            raise Wrong(f"the page that holds {found[row].id[:12]}", listed([run.id for run in by_id.items]))
        try:
            runs.page(at=f"@{unknown()}", limit=3)
        except NotFound:
            pass
        else:
            raise Wrong("NotFound for the page of an id that is not there", "a page")
    return f"seek {'yes' if said.seek else 'no'}, count {'yes' if said.count else 'no'}"

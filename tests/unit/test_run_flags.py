"""What is wrong with a run that has not failed: nothing is heard of it, or a metric is no number any more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from backends.contract import Backend, Invalid, Mutation
from backends.entities import MetricPoint, Progress, Run, RunStatus
from backends.local import open_local
from backends.mlflow import decode, names
from console.cli.output import json_text
from console.training.command_recipe import override_command_recipe, parse_command_recipe
from console.training.flags import STALLED_TAG, Flag, flagged, flags, with_flags
from console.training.recipe import parse_recipe
from console.training.watching import sample_s
from console.tui.run_columns import status_cell, status_tone
from console.tui.run_lines import run_lines

ME = Mutation("ann@box")
MINUTE = 60_000
T0 = 1_700_000_000_000


def a_run(**given: object) -> Run:
    known = Run(id="r" * 32, name="r", experiment="e", status=RunStatus.RUNNING, created_at=T0, started_at=T0)
    return msgspec.structs.replace(known, **given)


def words(run: Run, at: int) -> list[str]:
    return [str(each.flag) for each in flags(run, at)]


# ---------------------------------------------------------------- stalled


def test_a_run_that_was_never_heard_is_stalled_a_quarter_of_an_hour_after_its_start() -> None:
    assert words(a_run(), T0 + 14 * MINUTE) == []
    (flag,) = flags(a_run(), T0 + 16 * MINUTE)
    assert (flag.flag, flag.since) == (Flag.STALLED, T0)
    assert flag.text == "no metric, progress or output for 16 m"


@pytest.mark.parametrize(
    "said", [{"heard_at": T0 + 10 * MINUTE}, {"progress": Progress(at=T0 + 10 * MINUTE, fraction=0.5)}]
)
def test_whatever_it_says_begins_the_wait_anew(said: dict[str, object]) -> None:
    assert words(a_run(**said), T0 + 24 * MINUTE) == []
    assert words(a_run(**said), T0 + 25 * MINUTE) == ["stalled"]


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.STOPPING, RunStatus.FINISHED, RunStatus.LOST])
def test_only_what_runs_can_stall(status: RunStatus) -> None:
    assert words(a_run(status=status), T0 + 500 * MINUTE) == []


@pytest.mark.parametrize(
    ("tag", "silent", "stalled"),
    [("1", 2, True), ("60", 30, False), ("0", 9999, False), ("inf", 9999, False), ("soon", 16, True), ("0.5", 1, True)],
)
def test_its_recipe_says_how_long_it_may_be_silent(tag: str, silent: int, stalled: bool) -> None:
    assert bool(words(a_run(tags={STALLED_TAG: tag}), T0 + silent * MINUTE)) is stalled


# ---------------------------------------------------------------- no number


def test_a_metric_that_is_no_number_any_more_is_named_with_its_step() -> None:
    run = a_run(metrics={"loss": math.nan, "grad": math.inf, "auc": 0.7}, broken={"loss": 340, "grad": 339})
    (flag,) = flags(run, T0)
    assert (flag.flag, flag.since, flag.metrics) == (Flag.NAN, 339, ("grad", "loss"))
    assert flag.text == "grad is inf since step 339, loss is NaN since step 340"


def test_many_of_them_are_counted() -> None:
    (flag,) = flags(a_run(broken={f"m{at}": at for at in range(6)}), T0)
    assert flag.text.endswith("m2 is NaN since step 2, and 3 more metrics are so")


def test_what_the_machine_measures_is_no_metric_of_the_run() -> None:
    assert flags(a_run(broken={"system/gpu_0_power_usage_watts": 3}), T0) == ()


def test_of_runs_under_way_all_flags_are_gathered_and_of_ended_ones_none() -> None:
    both = a_run(broken={"loss": 3})
    found = flagged([both, a_run(status=RunStatus.FAILED, broken={"loss": 3})], T0 + 20 * MINUTE)
    assert [(run is both, flag.flag) for run, flag in found] == [(True, Flag.NAN), (True, Flag.STALLED)]


def test_what_was_silent_for_weeks_asks_nobody_and_is_listed_still() -> None:
    late = T0 + 9 * 24 * 60 * MINUTE
    assert flagged([a_run()], late) == []
    assert words(a_run(), late) == ["stalled"]


# ---------------------------------------------------------------- as it is shown


def test_it_is_told_by_word_glyph_and_tone() -> None:
    stalled = a_run(progress=Progress(at=T0, fraction=0.4))
    assert (status_cell(stalled), status_tone(stalled)) == ("◌ stalled", "warn")
    broken = msgspec.structs.replace(stalled, broken={"loss": 3})
    assert (status_cell(broken), status_tone(broken)) == ("▲ NaN", "bad")
    text = "\n".join("".join(part for part, _ in line.spans) for line in run_lines(broken, 60))
    assert "▲ NaN: loss is NaN since step 3" in text
    assert "◌ stalled: no metric, progress or output for" in text


def test_an_ended_run_keeps_its_status_in_the_list_and_its_flag_beside_it() -> None:
    ended = a_run(status=RunStatus.FINISHED, ended_at=T0 + 1, broken={"loss": 3})
    assert status_cell(ended) == "● finished"
    assert any("loss is NaN" in part for line in run_lines(ended, 60) for part, _ in line.spans)


def test_json_has_the_flags_beside_what_is_known_of_the_run() -> None:
    text = json_text(with_flags(a_run(metrics={"loss": math.nan}, broken={"loss": 3}, tags={STALLED_TAG: "0"})))
    told = msgspec.json.decode(text)
    assert told["metrics"] == {"loss": None}
    assert told["flags"] == [
        {"flag": "NaN", "text": "loss is NaN since step 3", "since": 3, "metrics": ["loss"]}
    ]  # fmt: skip
    assert (told["broken"], told["heard_at"]) == ({"loss": 3}, None)


# ---------------------------------------------------------------- what the store notices


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "w")
    yield opened
    opened.close()


def log(backend: Backend, run: str, *values: float, first: int = 0, key: str = "loss") -> dict[str, int]:
    """Log these, one a step, and say what is broken then."""
    points = [MetricPoint(key=key, value=value, step=first + at) for at, value in enumerate(values)]
    backend.need("runs").log_points(run, points)
    found: dict[str, int] = backend.need("runs").get(run).broken
    return found


def started(backend: Backend) -> str:
    run = backend.need("runs").create(name="r", mutation=ME)
    backend.need("runs").start(run.id)
    return str(run.id)


def test_the_store_knows_since_which_step_a_metric_is_no_number(backend: Backend) -> None:
    run = started(backend)
    assert log(backend, run, 1.0, 0.5) == {}
    assert log(backend, run, 0.4, math.nan, math.nan, first=2) == {"loss": 3}
    assert log(backend, run, math.nan, first=5) == {"loss": 3}, "where it began, not where it is"
    assert log(backend, run, 0.3, first=6) == {}, "it has moved on"
    assert log(backend, run, -math.inf, first=7) == {"loss": 7}


def test_a_metric_that_was_never_a_number_is_not_flagged(backend: Backend) -> None:
    run = started(backend)
    assert log(backend, run, math.nan, math.nan) == {}
    assert log(backend, run, math.nan, first=2) == {}
    assert log(backend, run, 1.0, math.nan, first=3) == {"loss": 4}


def test_one_batch_that_goes_up_and_down_counts_from_its_last_break(backend: Backend) -> None:
    assert log(backend, started(backend), 1.0, math.nan, 2.0, math.inf, math.nan) == {"loss": 3}


def test_a_long_course_that_was_folded_into_chunks_is_watched_alike(backend: Backend) -> None:
    run = started(backend)
    assert log(backend, run, *([1.0] * 5000)) == {}
    assert log(backend, run, *([math.nan] * 3000), first=5000) == {"loss": 5000}


def test_a_list_knows_it_whatever_columns_it_asks_for(backend: Backend) -> None:
    run = started(backend)
    log(backend, run, 1.0, math.nan)
    (listed,) = backend.need("runs").page(columns=["params.lr"]).items
    assert (listed.broken, listed.metrics) == ({"loss": 1}, {})


def test_own_words_are_heard_and_samples_of_the_machine_are_not(backend: Backend) -> None:
    runs, run = backend.need("runs"), started(backend)
    log(backend, run, 5.0, key="system/cpu_utilization_percentage")
    assert runs.get(run).heard_at is None
    log(backend, run, 5.0)
    first = runs.get(run).heard_at
    assert first is not None
    runs.hear(run, first + 5_000)
    assert runs.get(run).heard_at == first + 5_000
    runs.hear(run, first + 1_000)
    assert runs.get(run).heard_at == first + 5_000, "it is never heard earlier than it was"


def test_a_run_that_goes_on_has_its_whole_time_again(backend: Backend) -> None:
    run = started(backend)
    backend.need("runs").end(run, RunStatus.FINISHED)
    assert backend.need("runs").reopen(run).heard_at is not None


def test_a_client_of_another_year_is_heard_when_it_speaks(backend: Backend) -> None:
    run = started(backend)
    backend.need("runs").log_points(run, [MetricPoint(key="loss", value=1.0, at=1)])
    assert words(backend.need("runs").get(run), T0) == []
    assert backend.need("runs").get(run).heard_at > T0


# ---------------------------------------------------------------- what recipes say of it

COMMAND = 'command = "true"\n'
FIT = 'dataset = "d"\ntarget = "y"\ntask = "regression"\n{}\n[estimator]\nclass = "a.B"\n'


@pytest.mark.parametrize(
    ("line", "wanted"),
    [("", None), ("system_metrics = true", None), ("system_metrics = false", 0.0), ("system_metrics = 5", 5.0),
     ("system_metrics = 0", 0.0), ("system_metrics = 2.5", 2.5)],
)  # fmt: skip
def test_both_kinds_of_recipe_say_how_often_is_sampled(line: str, wanted: float | None) -> None:
    assert sample_s(parse_command_recipe(COMMAND + line).system_metrics) == wanted
    assert sample_s(parse_recipe(FIT.format(line)).system_metrics) == wanted


@pytest.mark.parametrize("line", ["system_metrics = 0.2", "system_metrics = -1", "system_metrics = inf",
                                  "stalled_after = -2", "stalled_after = nan"])  # fmt: skip
def test_what_cannot_be_is_refused_with_its_line(line: str) -> None:
    for read, text, at in ((parse_command_recipe, COMMAND + line, 2), (parse_recipe, FIT.format(line), 4)):
        with pytest.raises(Invalid, match=rf"^recipe:{at}: {line.split()[0]}: is .*wanted"):
            read(text)


def test_set_changes_it_for_one_run() -> None:
    text = override_command_recipe(COMMAND, {"system_metrics": "false", "stalled_after": "30"})
    assert (parse_command_recipe(text).system_metrics, parse_command_recipe(text).stalled_after) == (False, 30)


# ---------------------------------------------------------------- what another server tells


def test_of_a_server_the_last_word_is_that_of_its_own_metrics_and_of_our_tags() -> None:
    def told(*metrics: dict[str, object], **tags: str) -> Run:
        return decode.run(
            {
                "info": {"run_id": "r", "status": "RUNNING", "start_time": T0},
                "data": {"metrics": list(metrics), "tags": [{"key": k, "value": v} for k, v in tags.items()]},
            },
            "e",
        )

    loss = {"key": "loss", "value": 1.0, "timestamp": T0 + 5, "step": 3}
    machine = {"key": "system/run_processes", "value": 1.0, "timestamp": T0 + 99, "step": 9}
    assert told(loss, machine).heard_at == T0 + 5
    assert told(loss, **{names.HEARD: str(T0 + 50)}).heard_at == T0 + 50
    assert told(machine).heard_at is None
    assert told(loss | {"value": "NaN"}, {"key": "a", "value": "NaN", "step": 0}).broken == {"loss": 3}
    assert names.HEARD not in told(**{names.HEARD: "1"}).tags

"""When an action can be done: each says why not as a sentence, or nothing when it can."""

from __future__ import annotations

from backends.entities import (
    Alert,
    AlertState,
    Dataset,
    DatasetVersion,
    Deployment,
    DeploymentWish,
    Model,
    ModelVersion,
    Monitor,
    Run,
    RunStatus,
)
from console.tui.actions.action import Situation


def an_import(here: Situation) -> str:
    return "" if getattr(getattr(here, "app", None), "imports", None) else "no import or transform is under way"


def something(here: Situation) -> str:
    return "" if here.selected is not None else "nothing is selected"


def in_rows(here: Situation) -> str:
    view = getattr(here, "view", None)
    return "" if getattr(getattr(view, "level", None), "rows", False) else "look at a version's rows first, with v"


def searched(here: Situation) -> str:
    search = getattr(getattr(here, "view", None), "search", None)
    return in_rows(here) or ("" if search is not None and search.text else "look for something first, with /")


def a_log(here: Situation) -> str:
    return (
        "" if getattr(getattr(here, "view", None), "log_shown", None) is not None else "open a run's log first, with l"
    )


def a_searched_log(here: Situation) -> str:
    if why := a_log(here):
        return why
    shown = getattr(getattr(here, "view", None), "log_shown", None)
    return "" if getattr(shown, "sought", "") else "look for something in the log first, with / or :grep"


def a_comparison(here: Situation) -> str:
    compared = getattr(getattr(getattr(here, "app", None), "screen", None), "action_baseline", None)
    return "" if compared else "compare runs first: mark them with space and press c"


def audited(here: Situation) -> str:
    return "" if isinstance(here.selected, Run | ModelVersion) else "select a run or a version first"


def a_run(here: Situation) -> str:
    return "" if isinstance(here.selected, Run) else "select a run first"


def with_files(here: Situation) -> str:
    return "" if isinstance(here.selected, Run | ModelVersion) else "select a run or a model version first"


def a_live_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return f"the run has already {here.selected.status}" if here.selected.status.ended else ""


def a_waiting_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return "" if here.selected.status is RunStatus.QUEUED else f"the run is {here.selected.status}, and does not wait"


def an_ended_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return (
        ""
        if here.selected.status == "finished"
        else f"only a finished run can be registered; this is {here.selected.status}"
    )


def ended_runs(here: Situation) -> str:
    runs = [row for row in here.marked or (here.selected,) if isinstance(row, Run)]
    if not runs:
        return "select a run first"
    live = [run for run in runs if not run.status.ended]
    return f"{live[0].name} is {live[0].status}; stop it first" if live else ""


def traceable(here: Situation) -> str:
    traced = isinstance(here.selected, Run | ModelVersion | Model | Dataset | DatasetVersion)
    return "" if traced else "select a dataset version, a run or a model version first"


def two_versions(here: Situation) -> str:
    versions = [row for row in here.marked if isinstance(row, DatasetVersion)]
    return "" if len(versions) == 2 else "mark two versions with space first"


def two_runs(here: Situation) -> str:
    runs = [row for row in here.marked if isinstance(row, Run)]
    return "" if len(runs) >= 2 else "mark at least two runs with space first"


def sweep_of(here: Situation) -> Run | None:
    """The sweep that was entered, or the one under the cursor."""
    within = getattr(getattr(here, "view", None), "sweep", None)
    if isinstance(within, Run):
        return within
    return here.selected if isinstance(here.selected, Run) and "console.sweep" in here.selected.tags else None


def a_sweep(here: Situation) -> str:
    return "" if sweep_of(here) is not None else "select a sweep first; :sweeps lists them"


def a_live_sweep(here: Situation) -> str:
    sweep = sweep_of(here)
    if sweep is None:
        return a_sweep(here)
    return f"the sweep has already {sweep.status}" if sweep.status.ended else ""


def within_a_sweep(here: Situation) -> str:
    view = getattr(here, "view", None)
    if getattr(view, "within", None) is None:
        return "go into a sweep first, with enter"
    return "leave the trial first, with esc" if getattr(view, "opened", False) else ""


def a_chart(here: Situation) -> str:
    charts = getattr(getattr(here, "view", None), "charts", None)
    return "" if charts is not None else "open a run first, with enter"


def a_version(here: Situation) -> str:
    if isinstance(here.selected, Model) and not here.selected.latest:
        return f"{here.selected.name} has no versions yet"
    return "" if isinstance(here.selected, ModelVersion | Model) else "select a model version first"


def a_model(here: Situation) -> str:
    return (
        "" if isinstance(here.selected, ModelVersion | Model | Monitor | Alert | Deployment) else "select a model first"
    )


def no_aliases(here: Situation) -> str:
    why = here.backend.missing.get("aliases", "") if here.backend is not None else ""
    return f"aliases: {why}" if why else ""


def promotable(here: Situation) -> str:
    return no_aliases(here) or a_version(here)


def asked_for(here: Situation) -> str:
    """A request is told by what it has, so that its room is not imported for the keys."""
    waiting = hasattr(here.selected, "asked") or isinstance(here.selected, ModelVersion | Model)
    return "" if waiting else "select a promotion that waits, or its model, first"


def returnable(here: Situation) -> str:
    return no_aliases(here) or a_model(here)


def a_dataset(here: Situation) -> str:
    return "" if isinstance(here.selected, Dataset | DatasetVersion) else "select a dataset or a version first"


def an_alert(here: Situation) -> str:
    if not isinstance(here.selected, Alert):
        return "select an alert first"
    return "" if here.selected.state is AlertState.FIRING else f"the alert is already {here.selected.state}"


def an_open_alert(here: Situation) -> str:
    if not isinstance(here.selected, Alert):
        return "select an alert first"
    return "" if here.selected.state is not AlertState.RESOLVED else "the alert is over"


def alerts_here(here: Situation) -> tuple[Alert, ...]:
    """The alert that is selected, then the others of the monitor that is looked at: what it says of them can be taken
    back there, though another one is more urgent by now."""
    chosen = (here.selected,) if isinstance(here.selected, Alert) else ()
    beside = getattr(getattr(getattr(here, "view", None), "view", None), "alerts", ())
    others = (each for each in beside if isinstance(each, Alert) and each.id not in {one.id for one in chosen})
    return (*chosen, *others)


def a_taken_alert(here: Situation) -> str:
    found = alerts_here(here)
    if not found:
        return "select an alert first"
    return "" if any(each.state is AlertState.ACKED for each in found) else "nobody has acknowledged it"


def a_muted_alert(here: Situation) -> str:
    """Whether it is muted the store says: a mute may be of more than one alert."""
    return "" if any(each.state is not AlertState.RESOLVED for each in alerts_here(here)) else an_open_alert(here)


def within_a_monitor(here: Situation) -> str:
    return "" if getattr(getattr(here, "view", None), "inside", "") else "go into a monitor first, with enter"


def explainable(here: Situation) -> str:
    return "" if isinstance(here.selected, Alert | Monitor) else "select an alert or a monitor first"


def notable(here: Situation) -> str:
    noted = Run | ModelVersion | Model | Dataset | DatasetVersion | Deployment | Monitor | Alert
    what = "select a run, a model, a dataset, a deployment, a monitor or an alert first"
    return "" if isinstance(here.selected, noted) else what


def exportable(here: Situation) -> str:
    return "" if here.pane != "overview" else "the overview has no table to export; go to a list first"


def servable(here: Situation) -> str:
    return "" if isinstance(here.selected, ModelVersion | Model) else "select a model or a version first"


def a_deployment(here: Situation) -> str:
    return "" if isinstance(here.selected, Deployment) else "select a deployment first"


def a_serving_deployment(here: Situation) -> str:
    if not isinstance(here.selected, Deployment):
        return "select a deployment first"
    return "" if here.selected.desired is DeploymentWish.SERVING else "the deployment is stopped already"


def a_stopped_deployment(here: Situation) -> str:
    if not isinstance(here.selected, Deployment):
        return "select a deployment first"
    return "" if here.selected.desired is DeploymentWish.STOPPED else "the deployment serves; stop it first, with x"


def a_shared_deployment(here: Situation) -> str:
    if not isinstance(here.selected, Deployment):
        return "select a deployment first"
    shared = any(not each.shadow for each in here.selected.targets[1:])
    return "" if shared else "one version has all the traffic already; c gives another a share"

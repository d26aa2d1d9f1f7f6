"""Monitors made, paused and deleted on the screen."""

from __future__ import annotations

import uuid
from functools import partial
from typing import TYPE_CHECKING

from backends.contract import Conflict, Invalid, NotFound
from backends.entities import Alert, Deployment, Model, ModelVersion, Monitor
from console.safe import safe_text
from console.tui.dialogs import Confirm, Field, Form, sentences
from console.tui.verbs.models import session_of
from console.tui.verbs.segments import monitor_name
from console.tui.verbs.with_agent import carry_with_agent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from console.tui.here import Here

WINDOWS = ("day", "hour", "minute", "batch")


async def new(here: Here) -> None:
    """A form, until what is in it is taken; then the monitor is shown."""
    from console.monitoring.create import create_monitor

    session = session_of(here)
    names, model = await here.app.look_up(lambda: (_models(here), _model(here)))
    values: dict[str, str] = {"model": model, "alias": "champion", "window": "day"}
    if isinstance(here.selected, Deployment):
        values["deployment"] = here.selected.name
    trouble = ""
    while True:
        lines = sentences(trouble) if trouble else []
        filled = await here.app.ask(Form("New monitor", _fields(values, names), "make", lines=lines, check=_lacking))
        if filled is None:
            return
        values = {key: value.strip() for key, value in filled.items()}
        made = partial(
            create_monitor,
            session.backend,
            values["name"],
            "" if values["deployment"] else values["model"],
            alias=values["alias"] or "champion",
            deployment=values["deployment"],
            source=values["source"],
            time_column=values["time_column"],
            label_column=values["label_column"],
            id_column=values["id_column"],
            group_column=values["group_column"],
            top=int(values["top"]) if values["top"] and values["group_column"] else None,
            window=values["window"],
            mutation=session.mutation(values["reason"], uuid.uuid4().hex),
            policy=dict(session.policies.monitor),
        )
        try:
            monitor = await carry_with_agent(here, made)
        except (Conflict, Invalid, NotFound) as error:
            trouble = str(error)
            continue
        fed = f"watches {monitor.source}" if monitor.source else ""
        fed = f"is fed by what {monitor.deployment} logs" if monitor.deployment else fed
        here.app.tell(f"{monitor.name} {fed or f'waits for: mlops-console monitor ingest {monitor.name} FILE'}")
        here.app.show_pane("monitor", monitor.name)
        return


def _fields(values: Mapping[str, str], models: tuple[str, ...]) -> list[Field]:
    asked = (
        ("name", "name", "what it is called, e.g. churn-daily", ()),
        ("model", "model", "whose answers are watched", models),
        ("alias", "alias", "which version scores, now and whenever it moves", ()),
        ("deployment", "deployment", "fed by what this one logs; its model, times and ids are taken then", ()),
        ("source", "folder", "watched for CSV, JSON lines, Parquet; empty: batches are handed in", ()),
        ("time_column", "time column", "when each row happened; empty: when its file came", ()),
        ("label_column", "label", "what truly happened, where a file has it; labels may come later too", ()),
        ("id_column", "id column", "what later labels are joined by", ()),
        ("group_column", "group", "of rankings: the query that a row answers, for NDCG, MAP, MRR; else empty", ()),
        ("top", "ranks", "of rankings: how many of the first those look at; empty: 10", ()),
        ("window", "window", "what is counted together, and judged", WINDOWS),
        ("reason", "why", "kept in the journal; may be empty", ()),
    )
    return [Field(key, title, values.get(key, ""), note, choices) for key, title, note, choices in asked]


def _lacking(values: Mapping[str, str]) -> str:
    if not values["name"].strip():
        return "a name is wanted: letters, digits, '.', '_' and '-'"
    if not values["model"].strip() and not values["deployment"].strip():
        return "name the model, or the deployment that feeds the monitor"
    if values["top"].strip() and not values["top"].strip().isdecimal():
        return "ranks: a whole number, such as 5; empty for 10"
    if values["top"].strip() and not values["group_column"].strip():
        return "ranks are those of a group: name the column that the rows of a query have in common, or leave it empty"
    return ""


def _model(here: Here) -> str:
    """The one that the person is at, most likely meant."""
    chosen = here.selected
    if isinstance(chosen, Model):
        return chosen.name
    if isinstance(chosen, Alert) and here.pane == "monitor":
        chosen = here.backend.need("monitors").get(chosen.monitor)
    return chosen.model if isinstance(chosen, ModelVersion | Monitor) else ""


def _models(here: Here) -> tuple[str, ...]:
    return tuple(sorted(model.name for model in here.backend.need("registry").page(limit=200).items))


async def pause_or_resume(here: Here) -> None:
    """Stop watching what feeds it, or go on with what came meanwhile too."""
    from console.monitoring.create import pause_monitor, resume_monitor

    session, name = session_of(here), monitor_name(here)
    found: Monitor = await here.app.look_up(lambda: here.backend.need("monitors").get(name))
    deed = resume_monitor if found.paused else pause_monitor
    mutation = session.mutation("", uuid.uuid4().hex)
    await carry_with_agent(here, lambda: deed(session.backend, name, mutation))
    said = "looks again, at what came meanwhile too" if found.paused else "looks no more; what arrives waits"
    here.app.tell(f"{name} {said}")
    _refresh(here)


async def delete(here: Here) -> None:
    """With its windows, alerts and kept rows, for good."""
    from console.monitoring.create import delete_monitor

    session, name = session_of(here), monitor_name(here)
    text = "It goes with its windows, alerts and kept predictions, for good. The files in its folder stay."
    title = f"Delete monitor {safe_text(name, 40)}"
    yes = await here.app.ask(Confirm(title, sentences(text), "delete", word=name, reason=True))
    if yes is None:
        return
    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    await here.app.carry_out(lambda: delete_monitor(session.backend, name, mutation))
    here.app.tell(f"{name}: deleted")
    _refresh(here)


def _refresh(here: Here) -> None:
    if here.view is not None:
        here.view.refresh_data()

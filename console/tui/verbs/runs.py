"""Starting, stopping, following and comparing runs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backends.contract import Invalid
from backends.entities import Dataset, DatasetVersion, Run
from console.safe import safe_text
from console.tui import ink, state
from console.tui.dialogs import Choose, Confirm, Field, Form, sentences
from console.tui.lines import Line

if TYPE_CHECKING:
    from console.training.admit import ChecksFailed
    from console.tui.here import Here

RECIPE_FOLDERS = (".", "recipes")
MOST_RECIPES = 50

ESTIMATORS = {
    "classification": (
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.RandomForestClassifier",
        "sklearn.dummy.DummyClassifier",
    ),
    "regression": (
        "sklearn.ensemble.HistGradientBoostingRegressor",
        "sklearn.linear_model.Ridge",
        "sklearn.ensemble.RandomForestRegressor",
        "sklearn.dummy.DummyRegressor",
    ),
}


async def train(here: Here) -> None:
    """From a recipe file, from the recipe of a run, or from a form on a dataset."""
    from console.training.recipe import read_recipe
    from console.training.sweep.goal import any_recipe
    from console.tui.actions.when import sweep_of
    from console.tui.verbs.sweep_form import sweep_again, sweep_form

    chosen = here.selected
    if here.argument:
        path = Path(here.argument).expanduser()
        text = read_recipe(path)
        if any_recipe(text, here.argument).sweep is not None:
            await sweep_form(here, text, here.argument, origin=str(path.absolute()))
        else:
            await _from_text(here, text, here.argument)
        return
    options: list[tuple[str, str, str]] = []
    sweep = sweep_of(here)
    if sweep is not None:
        options.append(("sweep", f"the sweep {sweep.name}", "again, with changes"))
    if isinstance(chosen, Run) and (sweep is None or chosen.id != sweep.id):
        options.append(("again", f"the recipe of {chosen.name}", "again, with changes"))
    options.append(("form", "a new recipe", "from a dataset, in a form"))
    for path, searched in _recipe_files():
        if searched:
            options.append((f"space:{path}", str(path), "search its parameters: a sweep"))
        options.append((f"file:{path}", str(path), "recipe file, trained once" if searched else "recipe file"))
    picked = await here.app.ask(Choose("Train from", options))
    if picked is None:
        return
    if picked == "again" and isinstance(chosen, Run):
        from console.training.start import recipe_of
        from console.tui.verbs.commands import command_again

        run = chosen
        if await command_again(here, run):
            return
        text = await here.app.look_up(lambda: recipe_of(here.backend, run))
        await _from_text(here, text, f"recipe of {run.name}", pinned=run)
    elif picked == "form":
        await _from_form(here)
    elif picked == "sweep" and sweep is not None:
        await sweep_again(here, sweep)
    elif picked.startswith("space:"):
        path = Path(picked.removeprefix("space:"))
        await sweep_form(here, read_recipe(path), str(path), origin=str(path.absolute()))
    else:
        path = Path(picked.removeprefix("file:"))
        await _from_text(here, read_recipe(path), str(path), origin=str(path))


def _recipe_files() -> list[tuple[Path, bool]]:
    """Recipe files nearby, and whether each has parameters to search."""
    found: list[tuple[Path, bool]] = []
    for folder in RECIPE_FOLDERS:
        for path in sorted(Path(folder).glob("*.toml")):
            try:
                head = path.read_text(encoding="utf-8")[:20_000]
            except (OSError, UnicodeDecodeError):
                continue
            if "[estimator]" in head or any(line.startswith("command") for line in head.splitlines()):
                found.append((path, "[sweep" in head))
    return found[:MOST_RECIPES]


async def _from_text(here: Here, text: str, source: str, *, origin: str = "", pinned: Run | None = None) -> None:
    from console.training.command_recipe import is_command
    from console.training.recipe import override_recipe, parse_recipe

    if is_command(text):
        from console.tui.verbs.commands import ask_parameters

        told = await ask_parameters(here, text, source, pinned)
        if told is not None:
            await _start(here, text, *told, origin or source if not pinned else "", source)
        return
    recipe = parse_recipe(text, source)
    dataset = recipe.dataset
    if pinned is not None and pinned.inputs and "@" not in dataset:
        dataset = f"{pinned.inputs[0].dataset}@{pinned.inputs[0].version}"
    datasets = await here.app.look_up(lambda: dataset_names(here.backend))
    fields = [
        Field("name", "run name", pinned.name if pinned else recipe.name, "empty: made from dataset and estimator"),
        Field("dataset", "dataset", dataset, "name or name@version", datasets),
        Field("register", "register as", recipe.register, "model name; empty: do not register"),
        Field("seed", "seed", str(recipe.seed)),
        *(
            Field(f"estimator.params.{key}", key, _toml(value), "parameter of the estimator")
            for key, value in recipe.estimator.params.items()
        ),
        Field("more", "more", "", "other keys, as key=value key=value"),
    ]
    about = [
        Line([(ink.fit("target", 16), "dim"), (safe_text(f"{recipe.target}   {recipe.task}"), "")]),
        Line([(ink.fit("estimator", 16), "dim"), (safe_text(recipe.estimator.class_), "")]),
    ]

    def changed(values: dict[str, str]) -> dict[str, Any]:
        found: dict[str, Any] = {
            field.name: values[field.name]
            for field in fields
            if field.name not in ("name", "more") and values[field.name] != field.value
        }
        found.update(pairs(values["more"]))
        if pinned is not None:
            found.setdefault("dataset", dataset)
        return found

    def check(values: dict[str, str]) -> str:
        try:
            parse_recipe(override_recipe(text, changed(values), source), source)
        except (ValueError, Invalid) as error:
            return str(error)
        return ""

    values = await here.app.ask(Form(f"Train: {source}", fields, "start", lines=about, check=check))
    if values is None:
        return
    await _start(here, text, values["name"], changed(values), origin or source if not pinned else "", source)


async def _from_form(here: Here) -> None:
    datasets = await here.app.look_up(lambda: dataset_names(here.backend))
    if not datasets:
        raise Invalid("training needs a dataset, and there is none yet: import a file first (2, then i)")
    chosen = here.selected
    name = chosen.dataset if isinstance(chosen, DatasetVersion) else chosen.name if isinstance(chosen, Dataset) else ""
    name = name or (datasets[0] if len(datasets) == 1 else "")
    if not name:
        name = await here.app.ask(Choose("Train on", [(each, each, "dataset") for each in datasets])) or ""
    if not name:
        return
    version = await here.app.look_up(lambda: here.backend.need("datasets").version(name))
    columns = tuple(column.name for column in version.columns)
    target = await here.app.ask(
        Choose(f"{version.ref}: predict", [(c.name, c.name, str(c.type)) for c in reversed(version.columns)])
    )
    if target is None:
        return
    kind = next((column.type for column in version.columns if column.name == target), None)
    task = "regression" if kind is not None and str(kind) == "float" else "classification"
    fields = [
        Field("task", "task", task, "", ("classification", "regression")),
        Field("class", "estimator", ESTIMATORS[task][0], "import path", ESTIMATORS[task]),
        Field("exclude", "leave out", "", "columns, comma-separated", columns),
        Field("split", "test rows", "random", "how they are held out", ("random", "time", "group")),
        Field("column", "split column", "", "for time or group", columns),
        Field("test", "test share", "0.25"),
        Field("positive", "positive class", "", "empty: the natural one"),
        Field("register", "register as", "", "model name; empty: do not register"),
        Field("name", "run name", ""),
        Field("seed", "seed", "0"),
    ]

    def check(values: dict[str, str]) -> str:
        from console.training.recipe import check_columns, parse_recipe

        try:
            check_columns(parse_recipe(recipe_text(version.ref, target, values), "form"), version.columns, version.ref)
        except Invalid as error:
            return str(error)
        return ""

    values = await here.app.ask(Form(f"Train on {version.ref} to predict {target}", fields, "start", check=check))
    if values is None:
        return
    await _start(here, recipe_text(version.ref, target, values), values["name"], {}, "", "the form")


def recipe_text(dataset: str, target: str, values: dict[str, str]) -> str:
    """The recipe that a filled form means."""
    from console.training.toml_text import to_toml

    table: dict[str, Any] = {
        "dataset": dataset,
        "target": target,
        "task": values["task"],
        "seed": _read(values["seed"]),
    }
    if values["name"]:
        table["name"] = values["name"]
    if values["register"]:
        table["register"] = values["register"]
    if values["positive"]:
        table["positive"] = _read(values["positive"])
    excluded = [part.strip() for part in values["exclude"].split(",") if part.strip()]
    if excluded:
        table["exclude"] = excluded
    table["split"] = {"by": values["split"], "test": _read(values["test"])}
    if values["column"]:
        table["split"]["column"] = values["column"]
    table["estimator"] = {"class": values["class"]}
    return to_toml(table)


def _read(text: str) -> Any:
    import tomllib

    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return text


def _toml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def dataset_names(backend: Any) -> tuple[str, ...]:
    return tuple(dataset.name for dataset in backend.need("datasets").page(limit=200).items)


def pairs(text: str) -> dict[str, str]:
    import shlex

    found: dict[str, str] = {}
    for part in shlex.split(text):
        key, sign, value = part.partition("=")
        if not sign or not key:
            raise ValueError(f"{safe_text(part, 40)} is not key=value")
        found[key] = value
    return found


async def _start(here: Here, text: str, name: str, changed: dict[str, Any], origin: str, source: str) -> None:
    from console.training.start import start_run

    assert here.session is not None  # noqa: S101 the action needs a launcher, so there is a session
    session = here.session
    progress = here.app.report("checking the data")

    def begin(reason: str = "", override: bool = False) -> Run:
        run = start_run(
            session.backend,
            text,
            session.mutation(reason, uuid.uuid4().hex),
            name=name,
            overrides=changed,
            origin=origin,
            source=source,
            override_checks=override,
            on_progress=progress,
        )
        if session.workspace is not None:
            from console.agent import ensure_agent, ensure_tracking
            from console.training.command_recipe import is_command

            (ensure_tracking if is_command(text) else ensure_agent)(session.workspace)
        return run

    from console.training.admit import ChecksFailed

    try:
        run = await here.app.carry_out(begin)
    except ChecksFailed as failed:
        yes = await here.app.ask(_in_spite(failed))
        if yes is None:
            return
        reason = yes.reason
        run = await here.app.carry_out(lambda: begin(reason, override=True))
    finally:
        here.app.say_work(())
    here.app.welcome = False
    here.app.tell(f"{run.name} {run.id[:4]} is {run.status}; l follows its log")


def _in_spite(failed: ChecksFailed) -> Confirm:
    """The data fail their checks: what fails, and whether to train all the same, for a reason."""
    lines = sentences("Nothing was started. What the checks of the data found:")
    for gate in failed.gates[:8]:
        lines.append(Line([state.span(gate.status), (f"  {safe_text(gate.gate, 60)}", "")]))
        lines.append(Line([(f"          {safe_text(gate.value or gate.detail, 60)}", "dim")]))
    if len(failed.gates) > 8:
        lines.append(Line([(f"and {len(failed.gates) - 8} more", "dim")]))
    return Confirm(
        "The data do not pass their checks",
        lines,
        "train",
        reason=True,
        refused="training waits for data that pass; o trains all the same, for a reason that the journal keeps",
        overridable=True,
        more=sentences(str(failed)),
    )


async def stop(here: Here) -> None:
    run = here.selected
    assert isinstance(run, Run)  # noqa: S101 or the action were not available
    assert here.session is not None  # noqa: S101
    session = here.session
    yes = await here.app.ask(
        Confirm(
            f"Stop {safe_text(run.name, 40)} {run.id[:4]}",
            sentences(
                "The run and every process it started are asked to end, and are killed after ten seconds. "
                "Metrics and artifacts so far stay. It cannot be resumed; t starts its recipe again."
            ),
            "stop",
            reason=True,
        )
    )
    if yes is None:
        return
    from console.training.start import stop_run

    mutation = session.mutation(yes.reason, uuid.uuid4().hex)
    stopped = await here.app.carry_out(lambda: stop_run(session.backend, run.id, mutation))
    here.app.tell(f"{run.name} {run.id[:4]} is {stopped.status}")


async def logs(here: Here) -> None:
    """In Runs, where the log has its place."""
    run = here.selected
    assert isinstance(run, Run)  # noqa: S101
    if here.pane != "runs":
        here.app.show_pane("runs", f"id = '{run.id}'")
        await here.app.idle(own="verb-logs")
    pane: Any = here.app.pane
    if pane is not None and hasattr(pane, "show_log"):
        pane.show_log()


async def compare_marked(here: Here) -> None:
    from console.tui.panes.compare import CompareScreen

    ids = [run.id for run in here.marked if isinstance(run, Run)]
    runs = await here.app.look_up(lambda: [here.backend.need("runs").get(each) for each in ids])
    here.app.push_screen(CompareScreen(here.backend, runs))


async def delete_or_restore(here: Here) -> None:
    """Out of sight, or back: what the first of them needs decides for all."""
    runs = [row for row in here.marked or (here.selected,) if isinstance(row, Run)]
    back = runs[0].deleted_at is not None
    chosen = [run for run in runs if (run.deleted_at is not None) is back]
    what = runs[0].name if len(chosen) == 1 else f"{len(chosen)} runs"
    way_back = "They are out of sight then; :deleted shows them, and D brings them back."
    lines = sentences("They are in the list again then." if back else way_back)
    deed = "restore" if back else "delete"
    yes = await here.app.ask(Confirm(f"{deed.capitalize()} {safe_text(what, 40)}", lines, deed, reason=True))
    if yes is None:
        return
    assert here.session is not None  # noqa: S101 the action needs a store, so there is a session
    session, store = here.session, here.backend.runs
    key = uuid.uuid4().hex

    def change() -> None:
        for number, run in enumerate(chosen):
            mutation = session.mutation(yes.reason, f"{key}.{number}")
            store.restore(run.id, mutation) if back else store.delete(run.id, mutation)

    await here.app.carry_out(change)
    here.app.tell(f"{what}: {deed}d")


async def show_deleted(here: Here) -> None:
    """The deleted runs, in the list of runs."""
    here.app.show_pane("runs", "deleted = true")

"""Everything a person can do, declared once.

Key bindings, footer, help, palette, command bar, keymap file and cheat-sheet are all made from `ACTIONS`: what is not
here cannot be bound. Imports nothing of Textual, so that the command line can print the cheat-sheet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from backends.entities import Alert, AlertState, Dataset, DatasetVersion, Model, ModelVersion, Monitor, Run, RunStatus

if TYPE_CHECKING:
    from backends.contract import Backend


class Tier(StrEnum):
    """How much an action can hurt."""

    NONE = "none"
    """Changes nothing outside this screen."""
    REVERSIBLE = "reversible"
    """Asks for one `y`."""
    PRODUCTION = "production"
    """Asks for one `y`; in a production context for the name."""


class Situation(Protocol):
    """What an action is judged by."""

    @property
    def pane(self) -> str: ...

    @property
    def selected(self) -> object: ...

    @property
    def marked(self) -> tuple[object, ...]: ...

    @property
    def backend(self) -> Backend | None: ...

    @property
    def read_only(self) -> bool: ...


OWN, COMMON, ALWAYS = 18, 20, 90

Reason = Callable[[Situation], str]
"""Why the action cannot be done now, as a sentence; empty when it can."""


@dataclass(frozen=True)
class Action:
    id: str
    """Stable: keymap files name it."""
    key: str
    """Default key or keys, comma-separated, in Textual's names; empty for a command without a key."""
    label: str
    """Two or three words, for the footer."""
    help: str
    """One sentence."""
    verb: str
    """`module:function` under console.tui.verbs, imported when first used."""
    panes: tuple[str, ...] = ()
    """Where it exists; empty is everywhere."""
    tier: Tier = Tier.NONE
    available: Reason = field(default=lambda _: "")
    command: tuple[str, ...] = ()
    """Words of the command bar, the first is the one shown."""
    argument: str = ""
    """What follows the command word: `filter`, `name`, `context`, `theme`, or nothing."""
    cli: str = ""
    """The command line that does the same."""
    footer: int = 0
    """Place in the footer, smaller first; 0 is not shown there. Under `OWN` stand the pane's own verbs, under `COMMON`
    the ways to anywhere, from `ALWAYS` on what is never left out."""
    mutates: bool = False
    needs: str = ""
    """Capability of the backend it cannot do without."""
    lays_line: bool = False
    """It opens a line at the foot of the screen: what is typed meanwhile belongs to that line."""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key.strip() for key in self.key.split(",") if key.strip())

    def here(self, pane: str) -> bool:
        return not self.panes or pane in self.panes

    def reason(self, situation: Situation) -> str:
        """Why not, or empty."""
        backend = situation.backend
        if self.needs and backend is None:
            return "no context is open"
        if self.needs and getattr(backend, self.needs) is None:
            why = backend.missing.get(self.needs, "this backend does not offer it") if backend else ""
            return f"{self.needs}: {why}"
        if self.mutates and situation.read_only:
            return "this console is read-only; open it without --read-only, or use another context, to change anything"
        return self.available(situation)

    def load(self) -> Callable[..., Any]:
        module, _, name = self.verb.partition(":")
        return getattr(import_module(f"console.tui.verbs.{module}"), name)  # type: ignore[no-any-return]


# ---------------------------------------------------------------- when


def _an_import(here: Situation) -> str:
    return "" if getattr(getattr(here, "app", None), "imports", None) else "no import or transform is under way"


def _something(here: Situation) -> str:
    return "" if here.selected is not None else "nothing is selected"


def _in_rows(here: Situation) -> str:
    view = getattr(here, "view", None)
    return "" if getattr(getattr(view, "level", None), "rows", False) else "look at a version's rows first, with v"


def _searched(here: Situation) -> str:
    search = getattr(getattr(here, "view", None), "search", None)
    return _in_rows(here) or ("" if search is not None and search.text else "look for something first, with /")


def _audited(here: Situation) -> str:
    return "" if isinstance(here.selected, Run | ModelVersion) else "select a run or a version first"


def _a_run(here: Situation) -> str:
    return "" if isinstance(here.selected, Run) else "select a run first"


def _with_files(here: Situation) -> str:
    return "" if isinstance(here.selected, Run | ModelVersion) else "select a run or a model version first"


def _a_live_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return f"the run has already {here.selected.status}" if here.selected.status.ended else ""


def _a_waiting_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return "" if here.selected.status is RunStatus.QUEUED else f"the run is {here.selected.status}, and does not wait"


def _an_ended_run(here: Situation) -> str:
    if not isinstance(here.selected, Run):
        return "select a run first"
    return (
        ""
        if here.selected.status == "finished"
        else f"only a finished run can be registered; this is {here.selected.status}"
    )


def _ended_runs(here: Situation) -> str:
    runs = [row for row in here.marked or (here.selected,) if isinstance(row, Run)]
    if not runs:
        return "select a run first"
    live = [run for run in runs if not run.status.ended]
    return f"{live[0].name} is {live[0].status}; stop it first" if live else ""


def _traceable(here: Situation) -> str:
    traced = isinstance(here.selected, Run | ModelVersion | Model | Dataset | DatasetVersion)
    return "" if traced else "select a dataset version, a run or a model version first"


def _two_versions(here: Situation) -> str:
    versions = [row for row in here.marked if isinstance(row, DatasetVersion)]
    return "" if len(versions) == 2 else "mark two versions with space first"


def _two_runs(here: Situation) -> str:
    runs = [row for row in here.marked if isinstance(row, Run)]
    return "" if len(runs) >= 2 else "mark at least two runs with space first"


def _a_chart(here: Situation) -> str:
    charts = getattr(getattr(here, "view", None), "charts", None)
    return "" if charts is not None else "open a run first, with enter"


def _a_version(here: Situation) -> str:
    return "" if isinstance(here.selected, ModelVersion | Model) else "select a model version first"


def _a_model(here: Situation) -> str:
    return "" if isinstance(here.selected, ModelVersion | Model | Monitor | Alert) else "select a model first"


def _no_aliases(here: Situation) -> str:
    why = here.backend.missing.get("aliases", "") if here.backend is not None else ""
    return f"aliases: {why}" if why else ""


def _promotable(here: Situation) -> str:
    return _no_aliases(here) or _a_version(here)


def _returnable(here: Situation) -> str:
    return _no_aliases(here) or _a_model(here)


def _a_dataset(here: Situation) -> str:
    return "" if isinstance(here.selected, Dataset | DatasetVersion) else "select a dataset or a version first"


def _an_alert(here: Situation) -> str:
    if not isinstance(here.selected, Alert):
        return "select an alert first"
    return "" if here.selected.state is AlertState.FIRING else f"the alert is already {here.selected.state}"


def _notable(here: Situation) -> str:
    noted = isinstance(here.selected, Run | ModelVersion | Model | Dataset | DatasetVersion)
    return "" if noted else "select a run, a model or a dataset first"


def _exportable(here: Situation) -> str:
    return "" if here.pane != "overview" else "the overview has no table to export; go to a list first"


# ---------------------------------------------------------------- what

_LISTS = ("datasets", "runs", "models", "monitor", "journal")

ACTIONS: tuple[Action, ...] = (
    Action(
        "open",
        "enter",
        "open",
        "Open what is under the cursor on the full screen.",
        "view:open_selected",
        footer=1,
        available=_something,
    ),
    Action(
        "filter",
        "slash",
        "filter",
        "Show only the rows that a query matches.",
        "view:filter_rows",
        panes=_LISTS,
        footer=18,
        lays_line=True,
    ),
    Action(
        "command",
        "colon",
        "go",
        "Go anywhere or do anything by its word.",
        "view:command_bar",
        footer=19,
        lays_line=True,
    ),
    Action(
        "train",
        "t",
        "train",
        "Start a training run from a recipe.",
        "runs:train",
        ("overview", "datasets", "runs"),
        Tier.REVERSIBLE,
        command=("train",),
        argument="recipe",
        cli="mlops-console run start RECIPE.toml",
        footer=10,
        mutates=True,
        needs="launcher",
    ),
    Action(
        "stop",
        "x",
        "stop",
        "Stop the selected run and its whole process tree.",
        "runs:stop",
        ("overview", "runs"),
        Tier.REVERSIBLE,
        _a_live_run,
        ("stop",),
        cli="mlops-console run stop RUN",
        footer=14,
        mutates=True,
        needs="launcher",
    ),
    Action(
        "logs",
        "l",
        "logs",
        "Follow the log of the selected run.",
        "runs:logs",
        ("overview", "runs"),
        available=_a_run,
        command=("logs",),
        cli="mlops-console run logs RUN",
        footer=13,
        needs="launcher",
    ),
    Action(
        "artifacts",
        "a",
        "files",
        "Look into the files of the selected run or version, and save them.",
        "files:browse",
        ("runs", "models"),
        available=_with_files,
        command=("artifacts", "files"),
        cli="mlops-console run artifacts RUN",
        footer=23,
        needs="artifacts",
    ),
    Action(
        "priority",
        "",
        "priority",
        "Give the selected waiting run another place in the queue: the higher begins first.",
        "queue:priority",
        ("overview", "runs"),
        Tier.REVERSIBLE,
        _a_waiting_run,
        ("priority",),
        argument="number",
        cli="mlops-console run priority RUN 5",
        mutates=True,
        needs="launcher",
    ),
    Action(
        "queue",
        "",
        "queue",
        "Show what waits and why; let nothing further begin, or go on.",
        "queue:show",
        ("overview", "runs"),
        Tier.REVERSIBLE,
        command=("queue",),
        cli="mlops-console run queue --pause",
        mutates=True,
        needs="launcher",
    ),
    Action(
        "delete",
        "D",
        "delete",
        "Put the selected or marked runs out of sight, or bring deleted ones back.",
        "runs:delete_or_restore",
        ("runs",),
        Tier.REVERSIBLE,
        _ended_runs,
        ("delete",),
        cli="mlops-console run delete RUN",
        footer=33,
        mutates=True,
        needs="runs",
    ),
    Action(
        "compare",
        "c",
        "compare",
        "Compare the marked runs: what differs, and by how much.",
        "runs:compare_marked",
        ("runs",),
        available=_two_runs,
        command=("compare",),
        cli="mlops-console run compare RUN RUN",
        footer=12,
    ),
    Action(
        "chart.metric",
        "m",
        "metric",
        "Chart the next metric of the run.",
        "charts:metric",
        ("runs",),
        available=_a_chart,
        command=("metric",),
        footer=26,
    ),
    Action(
        "chart.crosshair",
        "i",
        "read values",
        "Read the values under a crosshair: arrows move it, esc leaves.",
        "charts:crosshair",
        ("runs",),
        available=_a_chart,
        command=("crosshair",),
        footer=27,
    ),
    Action(
        "chart.smooth",
        "E",
        "smooth",
        "Smooth the chart by a moving average: off, 0.6, 0.9, 0.99.",
        "charts:smooth",
        ("runs",),
        available=_a_chart,
        command=("smooth",),
        footer=28,
    ),
    Action(
        "chart.log",
        "L",
        "log axis",
        "Logarithmic y axis, or linear.",
        "charts:log",
        ("runs",),
        available=_a_chart,
        command=("log-axis",),
        footer=29,
    ),
    Action(
        "chart.time",
        "T",
        "time axis",
        "Steps along x, or the time since the run began.",
        "charts:time",
        ("runs",),
        available=_a_chart,
        command=("time-axis",),
    ),
    Action(
        "chart.in",
        "plus,equals_sign",
        "zoom in",
        "Half of the stretch in sight, around the crosshair or the middle.",
        "charts:zoom_in",
        ("runs",),
        available=_a_chart,
        command=("zoom-in",),
    ),
    Action(
        "chart.out",
        "minus",
        "zoom out",
        "Twice the stretch in sight.",
        "charts:zoom_out",
        ("runs",),
        available=_a_chart,
        command=("zoom-out",),
    ),
    Action(
        "chart.left",
        "left_square_bracket",
        "pan left",
        "Move the zoomed chart to earlier.",
        "charts:left",
        ("runs",),
        available=_a_chart,
        command=("pan-left",),
    ),
    Action(
        "chart.right",
        "right_square_bracket",
        "pan right",
        "Move the zoomed chart to later.",
        "charts:right",
        ("runs",),
        available=_a_chart,
        command=("pan-right",),
    ),
    Action(
        "chart.whole",
        "0",
        "zoom off",
        "Show the whole course again.",
        "charts:whole",
        ("runs",),
        available=_a_chart,
        command=("zoom-off",),
    ),
    Action(
        "diff",
        "c",
        "compare",
        "What changed between the two marked versions: columns, rows, distributions.",
        "data:compare_versions",
        ("datasets",),
        available=_two_versions,
        command=("diff",),
        cli="mlops-console dataset diff NAME@1 NAME@2",
        footer=12,
        needs="datasets",
    ),
    Action(
        "audit",
        "A",
        "audit",
        "The tests that the training of the selected run or version stood: overfit, leakage, slices, speed.",
        "judging:audit",
        ("runs", "models"),
        available=_audited,
        command=("audit",),
        cli="mlops-console run audit RUN",
        needs="artifacts",
    ),
    Action(
        "bias",
        "B",
        "bias",
        "Compare groups: how often labelled, how often and how rightly predicted, with how much certainty.",
        "judging:bias",
        ("datasets", "models"),
        available=_something,
        command=("bias",),
        cli="mlops-console dataset bias NAME@VERSION --by COLUMN --label COLUMN",
        needs="datasets",
    ),
    Action(
        "register",
        "r",
        "register",
        "Register the model of the selected run as a version.",
        "models:register",
        ("runs", "overview"),
        Tier.REVERSIBLE,
        _an_ended_run,
        ("register",),
        "name",
        "mlops-console model register RUN --model NAME",
        footer=15,
        mutates=True,
        needs="registry",
    ),
    Action(
        "import",
        "i",
        "import",
        "Import a file, a folder, a URL or a query as a dataset version.",
        "data:import_file",
        ("datasets", "overview"),
        Tier.NONE,
        command=("import",),
        argument="file",
        cli="mlops-console dataset import FILE",
        footer=10,
        mutates=True,
        needs="datasets",
    ),
    Action(
        "import.stop",
        "x",
        "stop it",
        "Stop the import or transform that is under way; nothing of it is kept.",
        "data:stop_import",
        ("datasets",),
        Tier.REVERSIBLE,
        _an_import,
        ("stop-import",),
        mutates=True,
        needs="datasets",
    ),
    Action(
        "transform",
        "T",
        "transform",
        "Make new versions of the selected one by a recipe of steps, after a look at a sample.",
        "transforms:transform",
        ("datasets",),
        Tier.REVERSIBLE,
        _a_dataset,
        ("transform",),
        "file",
        "mlops-console dataset transform NAME@VERSION --recipe FILE",
        footer=12,
        mutates=True,
        needs="definitions",
    ),
    Action(
        "checks",
        "C",
        "checks",
        "What the checks of the selected version found, with rows that fail.",
        "checks:show_report",
        ("datasets",),
        available=_a_dataset,
        command=("checks",),
        cli="mlops-console dataset check NAME@VERSION --show --report",
        footer=12,
        needs="reports",
    ),
    Action(
        "checks.run",
        "K",
        "run checks",
        "Run the dataset's checks on the selected version.",
        "checks:run_checks",
        ("datasets",),
        available=_a_dataset,
        command=("check",),
        cli="mlops-console dataset check NAME@VERSION",
        footer=13,
        mutates=True,
        needs="reports",
    ),
    Action(
        "checks.edit",
        "E",
        "edit checks",
        "Edit the dataset's checks in your editor; what is understood is kept.",
        "checks:edit_checks",
        ("datasets",),
        available=_a_dataset,
        command=("edit-checks",),
        cli="mlops-console dataset check NAME --file TOML --keep",
        footer=34,
        mutates=True,
        needs="definitions",
    ),
    Action(
        "checks.suggest",
        "",
        "suggest checks",
        "Propose checks from the selected version, if it is a good one; the label may be named.",
        "checks:suggest",
        ("datasets",),
        available=_a_dataset,
        command=("suggest",),
        argument="column",
        cli="mlops-console dataset check NAME@VERSION --suggest",
        mutates=True,
        needs="definitions",
    ),
    Action(
        "rows",
        "v",
        "rows",
        "Look at the rows of the selected version.",
        "data:view_rows",
        ("datasets",),
        available=_something,
        command=("rows",),
        cli="mlops-console dataset rows NAME@VERSION",
        footer=11,
        needs="datasets",
    ),
    Action(
        "rows.jump",
        "number_sign",
        "go to row",
        "Go to a row by its number.",
        "data:go_to_row",
        ("datasets",),
        available=_in_rows,
        command=("row",),
        argument="number",
        cli="mlops-console dataset rows NAME@VERSION --offset 0",
        footer=25,
    ),
    Action(
        "rows.next",
        "f",
        "next hit",
        "The next row that holds what was looked for with /.",
        "data:next_hit",
        ("datasets",),
        available=_searched,
        command=("find",),
        argument="text",
        cli="mlops-console dataset rows NAME@VERSION --find TEXT",
        footer=24,
    ),
    Action(
        "rows.previous",
        "F",
        "hit above",
        "The row above that holds what was looked for with /.",
        "data:previous_hit",
        ("datasets",),
        available=_searched,
    ),
    Action(
        "promote",
        "p",
        "promote",
        "Point the champion alias at the selected version, after its gates.",
        "models:promote",
        ("models",),
        Tier.PRODUCTION,
        _promotable,
        ("promote",),
        cli="mlops-console model promote MODEL VERSION",
        footer=11,
        mutates=True,
        needs="registry",
    ),
    Action(
        "rollback",
        "b",
        "roll back",
        "Point the alias back at the version that held it before.",
        "models:roll_back",
        ("models", "monitor", "overview"),
        Tier.PRODUCTION,
        _returnable,
        ("rollback",),
        cli="mlops-console model rollback MODEL",
        footer=12,
        mutates=True,
        needs="registry",
    ),
    Action(
        "undo",
        "u",
        "undo",
        "Take back your latest promotion or rollback, if nobody moved the alias since.",
        "models:take_back",
        ("overview", "models", "journal"),
        Tier.PRODUCTION,
        command=("undo",),
        cli="mlops-console model undo",
        footer=13,
        mutates=True,
        needs="registry",
    ),
    Action(
        "ack",
        "a",
        "acknowledge",
        "Say that you have seen the selected alert.",
        "alerts:acknowledge",
        ("overview", "monitor"),
        Tier.REVERSIBLE,
        _an_alert,
        ("ack",),
        cli="mlops-console alert ack ALERT",
        footer=11,
        mutates=True,
        needs="monitors",
    ),
    Action(
        "note",
        "n",
        "note",
        "Write a note on what is selected.",
        "notes:write_note",
        ("runs", "models", "datasets", "overview"),
        Tier.NONE,
        _notable,
        ("note",),
        cli="mlops-console run note RUN TEXT",
        footer=30,
        mutates=True,
    ),
    Action(
        "describe",
        "d",
        "describe",
        "Everything that is known about what is selected.",
        "view:describe",
        available=_something,
        footer=20,
    ),
    Action(
        "lineage",
        "o",
        "origin",
        "Where the selected thing comes from, and what was made from it.",
        "lineage:show_lineage",
        ("datasets", "runs", "models"),
        available=_traceable,
        command=("lineage", "origin"),
        argument="name",
        cli="mlops-console lineage REF",
        footer=26,
    ),
    Action(
        "mark",
        "space",
        "mark",
        "Mark the row, or take the mark away.",
        "view:mark",
        ("runs", "datasets", "models"),
        available=_something,
        footer=21,
    ),
    Action(
        "sort",
        "s",
        "sort",
        "Sort by the next column.",
        "view:sort",
        _LISTS,
        command=("sort",),
        argument="column",
        footer=22,
    ),
    Action("sort.reverse", "S", "reverse", "Turn the order round.", "view:sort_reverse", _LISTS),
    Action(
        "copy",
        "y",
        "copy",
        "Copy a value of the selected row to your clipboard, through SSH and tmux too.",
        "view:copy",
        available=_something,
        footer=31,
    ),
    Action(
        "export",
        "e",
        "export",
        "Write the rows as shown to a CSV or JSON file.",
        "view:export",
        available=_exportable,
        command=("export",),
        argument="file",
        footer=32,
    ),
    Action("refresh", "ctrl+r", "refresh", "Ask the backend again now.", "view:refresh", command=("refresh",)),
    Action(
        "go.overview",
        "1",
        "Overview",
        "What needs you, what is in production, what is running.",
        "view:go_overview",
        command=("overview",),
    ),
    Action(
        "go.datasets",
        "2",
        "Datasets",
        "Datasets and their versions.",
        "view:go_datasets",
        command=("datasets", "dataset", "ds"),
        argument="filter",
        cli="mlops-console dataset list",
    ),
    Action(
        "go.runs",
        "3",
        "Runs",
        "Training runs.",
        "view:go_runs",
        command=("runs", "run"),
        argument="filter",
        cli="mlops-console run list",
    ),
    Action(
        "experiments",
        "",
        "experiments",
        "Choose an experiment and see its runs.",
        "experiments:choose_experiment",
        command=("experiments", "experiment"),
        cli="mlops-console experiment list",
        needs="experiments",
    ),
    Action(
        "deleted",
        "",
        "deleted",
        "The deleted runs; D brings them back.",
        "runs:show_deleted",
        command=("deleted",),
        cli="mlops-console run list --deleted",
        needs="runs",
    ),
    Action(
        "go.models",
        "4",
        "Models",
        "Registered models, versions and aliases.",
        "view:go_models",
        command=("models", "model"),
        argument="filter",
        cli="mlops-console model list",
    ),
    Action(
        "prompts",
        "",
        "prompts",
        "Prompts, their versions and aliases.",
        "prompts:show_prompts",
        command=("prompts", "prompt"),
        argument="filter",
        cli="mlops-console prompt list",
        needs="registry",
    ),
    Action(
        "go.monitor",
        "5",
        "Monitor",
        "Drift and performance of what is in production.",
        "view:go_monitor",
        command=("monitor", "monitors"),
        argument="filter",
        cli="mlops-console monitor list",
    ),
    Action(
        "go.journal",
        "6",
        "Journal",
        "Every change: who, when, what, why.",
        "view:go_journal",
        command=("journal",),
        argument="filter",
        cli="mlops-console journal list",
    ),
    Action(
        "context",
        "",
        "context",
        "Switch to another context.",
        "view:switch_context",
        command=("ctx", "context"),
        argument="context",
        cli="mlops-console context use NAME",
    ),
    Action("theme", "", "theme", "Change the colours.", "view:switch_theme", command=("theme",), argument="theme"),
    Action("welcome", "", "welcome", "Show the first-run hints again.", "view:welcome", command=("welcome",)),
    Action("error", "", "error", "Show the latest error in full.", "view:show_error", command=("error",)),
    Action("palette", "ctrl+p", "palette", "Find an action by name and do it.", "view:palette", command=("palette",)),
    Action(
        "help",
        "question_mark,f1",
        "all keys",
        "Every key and command, searchable; enter does it.",
        "view:show_help",
        command=("help", "h"),
        footer=90,
    ),
    Action("back", "escape", "back", "Close what is open, step by step.", "view:back"),
    Action("quit", "q", "back, quit", "Close what is open; on the bare pane, quit.", "view:back_or_quit"),
    Action("quit.now", "ctrl+q,ctrl+c", "quit", "Quit; runs go on.", "view:quit_now", command=("q", "quit", "exit")),
)

BY_ID: dict[str, Action] = {action.id: action for action in ACTIONS}

COMMANDS: dict[str, Action] = {word: action for action in ACTIONS for word in action.command}

_KEY_NAMES = {
    "question_mark": "?", "slash": "/", "colon": ":", "escape": "esc", "space": "space", "enter": "enter", "comma": ",",
    "full_stop": ".", "plus": "+", "minus": "-",
    "equals_sign": "=", "left_square_bracket": "[", "right_square_bracket": "]",
}  # fmt: skip


def shown_key(key: str) -> str:
    """How a key is written for people: `question_mark` is `?`."""
    return _KEY_NAMES.get(key, key)


def cheatsheet(keys: dict[str, str] | None = None) -> str:
    """All keys and commands as Markdown; `keys` are overrides by action id."""
    overrides = keys or {}
    lines = ["| key | command | where | what | the same on the command line |", "|---|---|---|---|---|"]
    for action in ACTIONS:
        named = overrides.get(action.id, action.key)
        shown = " ".join(f"`{shown_key(key.strip())}`" for key in named.split(",") if key.strip())
        command = f"`:{action.command[0]}`" if action.command else ""
        where = ", ".join(action.panes) or "everywhere"
        lines.append(f"| {shown} | {command} | {where} | {action.help} | {f'`{action.cli}`' if action.cli else ''} |")
    return "\n".join(lines) + "\n"

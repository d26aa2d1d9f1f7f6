"""`mlops-console trigger …`: what is done by itself, on an alert, on a schedule, on new data."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from backends.entities import Firing, Trigger, TriggerState
from console.cli.agent_needed import wake_agent
from console.cli.exit import Exit
from console.cli.output import Col, narrate, print_lines, print_record
from console.cli.verb import Invocation, Noun, interruptible, key_values, reason_option
from console.wording import local_time, since


@click.group("trigger", cls=Noun)
def trigger() -> None:
    """What is done by itself: on an alert, a schedule, new data."""


def _columns(lasts: dict[str, str]) -> list[Col[Trigger]]:
    from console.triggers.telling import do_words, state_word, when_words

    return [
        Col("name", lambda item: item.name),
        Col("state", state_word, state=True),
        Col("when", when_words, widest=60),
        Col("does", do_words, widest=60),
        Col("next", lambda item: local_time(item.status.next_at)),
        Col("last", lambda item: lasts.get(item.name, ""), widest=60),
        Col("why", lambda item: item.status.reason, widest=80),
    ]


FIRING_COLUMNS: list[Col[Firing]] = [
    Col("id", lambda item: item.id[:8]),
    Col("state", lambda item: item.state, state=True),
    Col("trigger", lambda item: item.trigger),
    Col("since", lambda item: since(item.at), right=True),
    Col("step", lambda item: "" if item.state.ended else item.step),
    Col("run", lambda item: item.run[:8]),
    Col("version", lambda item: f"v{item.version}" if item.version else "", right=True),
    Col("cause", lambda item: item.cause, widest=60),
    Col("what came of it", lambda item: item.reason, widest=100),
]


@trigger.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def list_(invocation: Invocation, limit: int, at: str) -> None:
    """Triggers, where each stands, when it is due, what came of it last."""
    from backends.contract import START
    from console.triggers.telling import outcome_words

    store = invocation.need("triggers")
    page = store.page(at=at or START, limit=limit)
    lasts = {each.name: outcome_words(found[0]) for each in page.items if (found := store.firings(each.name, limit=1))}
    invocation.show_page(
        page,
        _columns(lasts),
        empty="no trigger yet; mlops-console trigger create NAME --on-alert MONITOR --rollback MODEL makes one",
    )
    for each in page.items:
        if each.status.state is TriggerState.STOPPED:
            narrate(f"{each.name} stopped itself: {each.status.reason}; mlops-console trigger resume {each.name}")


@trigger.command("show")
@click.argument("name")
@click.option("--toml", is_flag=True, help="The definition as a file that create and edit take.")
@click.pass_obj
def show(invocation: Invocation, name: str, toml: bool) -> None:
    """One trigger: when, what, how far, where it stands."""
    from console.triggers.clock import real_now
    from console.triggers.definition import to_toml
    from console.triggers.telling import do_words, limit_words, next_words, outcome_words, state_words, when_words

    store = invocation.need("triggers")
    found = store.get(name)
    if toml:
        invocation.show({"toml": to_toml(found)}, lambda: print_lines(to_toml(found).rstrip("\n")))
        return
    lasts = store.firings(name, limit=1)

    def human() -> None:
        print_record(
            {
                "name": found.name,
                "state": state_words(found),
                "when": when_words(found),
                "does": do_words(found),
                "limits": limit_words(found),
                "next": ", ".join(next_words(found, real_now())),
                "failures": found.status.failures,
                "last": outcome_words(lasts[0]) if lasts else "it has not fired yet",
                "made": f"{local_time(found.created_at)} by {found.created_by}",
                "note": found.note,
            }
        )

    invocation.show(found, human)


@trigger.command("create")
@click.argument("name")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="The definition in TOML, instead.")
@click.option("--on-alert", "alert", metavar="MONITOR", help="When an alert of MONITOR fires; * is any monitor.")
@click.option("--metric", metavar="PATTERN", help="Only alerts on this metric or rule.")
@click.option("--severity", metavar="WORD", help="Only alerts of this severity, such as critical.")
@click.option("--schedule", metavar="WORDS", help="'0 3 * * *', @daily, 'every day at 03:00'.")
@click.option("--timezone", metavar="ZONE", help="Of the schedule, such as Europe/Berlin; this machine's by default.")
@click.option("--missed", type=click.Choice(["once", "skip"]), help="Times that passed while no agent ran.")
@click.option("--on-dataset", "dataset", metavar="DATASET", help="When DATASET has a new version.")
@click.option("--on-rows", "monitor", metavar="MONITOR", help="When --rows rows have landed in MONITOR.")
@click.option("--rows", type=click.IntRange(1), help="So many rows.")
@click.option("--on-files", "folder", metavar="DIR", help="When --files files have landed in DIR.")
@click.option("--files", type=click.IntRange(1), help="So many files; one by default.")
@click.option("--by-hand", "hand", is_flag=True, default=None, help="Only when a person fires it.")
@click.option("--retrain", metavar="RECIPE", help="Train this recipe's file on fresh data, judge, make a challenger.")
@click.option("--model", metavar="MODEL", help="Whose version is trained; by default what the recipe registers.")
@click.option("--data", metavar="DATASET", help="Train on its newest version; by default the recipe's.")
@click.option("--rows-of", metavar="MONITOR", help="Train on the labelled rows of MONITOR's folder or log.")
@click.option("--promote", is_flag=True, default=None, help="Go on to promote, where the policy lets a trigger.")
@click.option("--rollback", metavar="MODEL", help="Roll MODEL back.")
@click.option("--alias", metavar="ALIAS", help="What goes back, or whom a retrained version is judged against.")
@click.option("--scale", metavar="DEPLOYMENT", help="Give DEPLOYMENT other --workers.")
@click.option("--workers", metavar="N", help="'4', or '+1'.")
@click.option("--most", type=click.IntRange(1), help="Of '+1': never more workers than this.")
@click.option("--command", metavar="LINE", help="Run this command line as a run.")
@click.option("--run", metavar="RECIPE", help="Start a run of this recipe's file.")
@click.option("--workdir", metavar="DIR", help="Where a command runs.")
@click.option("--check", metavar="DATASET", help="Check DATASET's newest version.")
@click.option("--per-day", type=click.IntRange(0), help="Times in 24 hours; 0 for no limit. [3]")
@click.option("--cooldown", metavar="SPAN", help="Quiet after it began, such as '6 h'. [1 h]")
@click.option("--run-minutes", type=click.FloatRange(0), help="A run past this is stopped. [60]")
@click.option("--cpu-hours", type=click.FloatRange(0), help="A run that took more is stopped.")
@click.option("--failures", type=click.IntRange(0), help="After so many in a row it stops itself. [3]")
@click.option("--dry-run", is_flag=True, default=None, help="Say what it would do, and do nothing.")
@click.option("--note", default="", help="A note.")
@reason_option
@click.pass_obj
def create(
    invocation: Invocation, /, name: str, file: Path | None, note: str, reason: str, key: str, **given: object
) -> None:
    """Make a trigger NAME from one cause and one deed, or from --file. It acts on what comes from now on."""
    from console.triggers.create import create_trigger
    from console.triggers.telling import do_words, when_words

    options = {option: value for option, value in given.items() if value is not None}
    if file is not None and options:
        raise click.UsageError("give the definition as --file or by options, not both")
    wanted = _from_file(file, name) if file is not None else _from_options(name, note, options)
    made = create_trigger(invocation.backend, wanted, invocation.mutation(reason, key))
    wake_agent(invocation)
    invocation.show(made, lambda: narrate(f"{made.name}: {when_words(made)} → {do_words(made)}"))


def _from_file(file: Path, name: str) -> Trigger:
    from console.toml_form import read_toml
    from console.triggers.definition import WHAT, parse_trigger

    found = parse_trigger(read_toml(file, WHAT), str(file), base=file.absolute().parent, name=name)
    if found.name != name:
        raise click.UsageError(f"{file} names the trigger {found.name}, and the command line {name}; which is it?")
    return found


def _from_options(name: str, note: str, options: dict[str, object]) -> Trigger:
    """As the same keys in a file."""
    from backends.entities import TriggerDo, TriggerLimits, TriggerWhen
    from console.training.toml_text import to_toml
    from console.triggers.definition import parse_trigger

    tables: dict[str, object] = {"name": name, **({"note": note} if note else {})}
    for table, record in (("when", TriggerWhen), ("do", TriggerDo), ("limits", TriggerLimits)):
        fields = record.__struct_fields__
        tables[table] = {field: options[field] for field in fields if field in options}
    if not tables["when"]:
        raise click.UsageError(
            "when? give one of --on-alert, --schedule, --on-dataset, --on-rows, --on-files, --by-hand"
        )
    if not tables["do"]:
        raise click.UsageError("do what? give one of --retrain, --rollback, --scale, --command, --run, --check")
    return parse_trigger(to_toml(tables), "options", base=Path.cwd())


@trigger.command("edit")
@click.argument("name")
@click.option("--file", type=click.Path(dir_okay=False, path_type=Path), help="The definition in TOML, anew.")
@click.option("--set", "pairs", multiple=True, metavar="KEY=VALUE", help="Such as limits.per_day=1.")
@reason_option
@click.pass_obj
def edit(invocation: Invocation, name: str, file: Path | None, pairs: tuple[str, ...], reason: str, key: str) -> None:
    """Change a trigger: single keys, from a file, or in $EDITOR."""
    from console.triggers.create import change_trigger, set_keys
    from console.triggers.definition import parse_trigger, to_toml

    backend, held = invocation.backend, invocation.need("triggers").get(name)
    mutation = invocation.mutation(reason, key)
    if pairs:
        after = set_keys(backend, name, key_values(pairs, "--set"), mutation)
    else:
        if file is None:
            if not (sys.stdin.isatty() and sys.stdout.isatty()) or invocation.json:
                raise click.UsageError(
                    f"an editor needs a terminal; say what changes: trigger edit {name} --set per_day=1"
                )
            text = click.edit(to_toml(held), extension=".toml")
            if text is None:
                narrate("nothing was changed")
                return
            wanted = parse_trigger(text, f"trigger {name}", name=name)
        else:
            wanted = _from_file(file, name)
        after = change_trigger(backend, wanted, mutation, expected=held.changed_at)
    wake_agent(invocation)
    invocation.show(after, lambda: narrate(f"{after.name}: changed" if after != held else f"{after.name}: as it was"))


@trigger.command("pause")
@click.argument("name")
@reason_option
@click.pass_obj
def pause(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Nothing further begins; what is under way goes on."""
    from console.triggers.create import pause as quiet

    after = quiet(invocation.backend, name, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{after.name}: paused"))


@trigger.command("resume")
@click.argument("name")
@reason_option
@click.pass_obj
def resume(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """Act again, on what comes from now on; also one that stopped itself."""
    from console.triggers.create import resume as again

    after = again(invocation.backend, name, invocation.mutation(reason, key))
    wake_agent(invocation)
    invocation.show(after, lambda: narrate(f"{after.name}: active"))


@trigger.command("run")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Say what it would do now, and do nothing.")
@click.option("--wait", is_flag=True, help="Until it has ended; exit 1 unless it is done.")
@reason_option
@click.pass_obj
def run(invocation: Invocation, name: str, dry_run: bool, wait: bool, reason: str, key: str) -> int:
    """Fire it by hand, whatever its schedule, rate and cooldown say."""
    from console.triggers.create import fire, told

    if dry_run:
        said = told(invocation.backend, name)
        invocation.show({"trigger": name, "would": said}, lambda: print_lines(f"{name} would {said}"))
        return Exit.DONE
    firing = fire(invocation.backend, name, invocation.mutation(reason, key))
    wake_agent(invocation)
    return _answer(invocation, firing, wait=wait)


@trigger.command("retrain")
@click.argument("model")
@click.option("--alias", default="champion", show_default=True, help="Whose recipe, and who it is judged against.")
@click.option("--dry-run", is_flag=True, help="Say what it would do now, and do nothing.")
@click.option("--wait", is_flag=True, help="Until it has ended; exit 1 unless it is done.")
@reason_option
@click.pass_obj
def retrain(invocation: Invocation, model: str, alias: str, dry_run: bool, wait: bool, reason: str, key: str) -> int:
    """Retrain MODEL by hand: fresh data, checks, run, gates, challenger. The trigger for it is made where none is."""
    from console.triggers.create import fire
    from console.triggers.remedy import kept_retrainer, would_retrain

    if dry_run:
        trigger, _, said = would_retrain(invocation.backend, model, alias)
        invocation.show({"trigger": trigger.name, "would": said}, lambda: print_lines(f"{trigger.name} would {said}"))
        return Exit.DONE
    made = kept_retrainer(invocation.backend, model, invocation.mutation(reason), alias)
    firing = fire(invocation.backend, made.name, invocation.mutation(reason, key))
    wake_agent(invocation)
    return _answer(invocation, firing, wait=wait)


def _answer(invocation: Invocation, firing: Firing, *, wait: bool) -> int:
    from console.triggers.telling import outcome_words

    store = invocation.need("triggers")
    said = ""
    with interruptible():
        while wait and not firing.state.ended:
            time.sleep(0.3)
            firing = store.firing(firing.id)
            if not invocation.json and (now := outcome_words(firing)) != said and not firing.state.ended:
                said = now
                narrate(said)
    invocation.show(firing, lambda: narrate(f"{firing.trigger} {firing.id[:8]}: {outcome_words(firing)}"))
    return Exit.DONE if not wait or firing.state == "done" else Exit.FAILED


@trigger.command("history")
@click.argument("name", default="")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def history(invocation: Invocation, name: str, limit: int) -> None:
    """What triggers did, newest first; of one NAME if given."""
    store = invocation.need("triggers")
    if name:
        store.get(name)  # of one that is not there it would say that it never fired
    invocation.show_items(store.firings(name, limit=limit), FIRING_COLUMNS, empty="nothing has fired yet")


@trigger.command("delete")
@click.argument("name")
@click.option("--confirm", metavar="NAME", help="The name again: deleting cannot be undone.")
@reason_option
@click.pass_obj
def delete(invocation: Invocation, name: str, confirm: str | None, reason: str, key: str) -> None:
    """Delete a trigger with its history; the journal keeps what it did."""
    from console.triggers.create import delete_trigger

    found = invocation.need("triggers").get(name)
    invocation.confirm(found.name, confirm, deed=f"delete trigger {found.name}", production_only=False)
    delete_trigger(invocation.backend, found.name, invocation.mutation(reason, key))
    invocation.show({"deleted": found.name}, lambda: narrate(f"{found.name}: deleted"))

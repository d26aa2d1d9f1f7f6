"""`mlops-console monitor policy` and `monitor replay`: when a monitor speaks up, and how often it would have."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import Monitor
from console.cli.monitor import monitor, numbers
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation, reason_option
from console.monitoring.alarms.replaying import Episode, Replay, RuleReplay, replay_offloaded, told, weekly
from console.wording import local_time

LONGEST = 1_000_000
file_option = click.option(
    "--file", "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Rules in TOML."
)

RULE_COLUMNS: list[Col[RuleReplay]] = [
    Col("rule", lambda item: item.rule.name),
    Col("severity", lambda item: item.rule.severity),
    Col("fired", lambda item: len(item.episodes), right=True),
    Col("false alarms a week", lambda item: _quiet(item), right=True),
]
EPISODE_COLUMNS: list[Col[Episode]] = [
    Col("from", lambda item: local_time(item.opened_at)),
    Col("to", lambda item: local_time(item.resolved_at) if item.resolved_at else "open"),
    Col("rule", lambda item: item.rule),
    Col("segment", lambda item: item.segment),
    Col("what", lambda item: item.text, widest=90),
]


@monitor.command("policy")
@click.argument("name")
@click.argument("policy", nargs=-1, metavar="[KEY=NUMBER]...")
@file_option
@click.option("--default", "default", is_flag=True, help="Go back to the default rules.")
@click.option("--check", is_flag=True, help="Say what the rules would have done, and save nothing.")
@reason_option
@click.pass_obj
def policy_(
    invocation: Invocation,
    name: str,
    policy: tuple[str, ...],
    file: Path | None,
    default: bool,
    check: bool,
    reason: str,
    key: str,
) -> None:
    """When a monitor speaks up: the rules in force as TOML.

    KEY=NUMBER turns a knob of the default rules. With --file the rules of a file are replayed on history and saved;
    with --check they are not saved.
    """
    from console.monitoring.alarms.alerts import rules_of
    from console.monitoring.alarms.rules import write_rules
    from console.monitoring.create import set_policy, set_rules

    before: Monitor = invocation.need("monitors").get(name)
    if sum((bool(policy), file is not None, default)) > 1:
        raise click.UsageError("one of KEY=NUMBER, --file and --default")
    if policy:
        if before.rules:
            raise click.UsageError(
                f"{name} has rules of its own, which these knobs do not turn; change them with --file, or go back with "
                "--default"
            )
        if check:
            raise click.UsageError("--check goes with --file")
        after = set_policy(
            invocation.backend, name, {**before.policy, **numbers(policy)}, invocation.mutation(reason, key)
        )
        invocation.show(after, lambda: print_record(after.policy))
        return
    if file is not None:
        rules = _text(file)
        replay = _replayed(invocation, name, rules)
        if not check:
            set_rules(invocation.backend, name, rules, invocation.mutation(reason, key))
        invocation.show(replay, lambda: _print(replay, "" if check else f"{name}: policy saved"))
        return
    if default:
        after = set_rules(invocation.backend, name, "", invocation.mutation(reason, key))
        invocation.show(after, lambda: narrate(f"{name}: the default rules"))
        return
    found = rules_of(before)
    invocation.show(
        {"rules": [msgspec.to_builtins(rule) for rule in found]},
        lambda: click.echo(before.rules or write_rules(found), nl=False),
    )


@monitor.command("replay")
@click.argument("name")
@file_option
@click.pass_obj
def replay_(invocation: Invocation, name: str, file: Path | None) -> None:
    """What the rules (or those of a file) would have done over the stored windows, and how often they cry wolf."""
    found = _replayed(invocation, name, None if file is None else _text(file))
    invocation.show(found, lambda: _print(found))


def _text(file: Path) -> str:
    from backends.contract import Invalid

    data = file.read_bytes()
    if len(data) > LONGEST:
        raise Invalid(f"{file.name} has {len(data)} bytes; a policy has {LONGEST} at most", "file")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"{file.name} is no UTF-8 text", "file") from None


def _replayed(invocation: Invocation, name: str, rules: str | None) -> Replay:
    from backends.contract import Invalid
    from console.cli.follow import ProgressLine
    from console.monitoring.alarms.rule_lines import numbered

    with ProgressLine() as line:
        try:
            return replay_offloaded(invocation.backend, name, rules, on_progress=line.follow)
        except Invalid as error:
            raise numbered(rules or "", error) from None


def _quiet(item: RuleReplay) -> str:
    if item.quiet is None:
        return "unknown"
    return weekly(item.quiet).replace(" a week", "")


def _print(found: Replay, after: str = "") -> None:
    for item in found.rules:
        narrate(f"{item.rule.name}: {told(item, found.days)}")
    if found.note:
        narrate(found.note)
    gap()
    print_table(found.rules, RULE_COLUMNS)
    episodes = sorted((each for item in found.rules for each in item.episodes), key=lambda each: each.opened_at)
    if episodes:
        gap()
        print_table(episodes, EPISODE_COLUMNS)
    if after:
        narrate(after)

"""`mlops-console policy …`: what a promotion asks for, and whether the files that say so can be read."""

from __future__ import annotations

from pathlib import Path

import click

from console.cli.output import Col, narrate, print_record
from console.cli.verb import Invocation, Noun
from console.promotion.policy import Rule


@click.group("policy", cls=Noun)
def policy() -> None:
    """What a promotion asks for: gates, approvals, who may override."""


@policy.command("show")
@click.argument("name", metavar="MODEL", default="*")
@click.option("--alias", default="champion", show_default=True, help="The alias that would move.")
@click.pass_obj
def show(invocation: Invocation, name: str, alias: str) -> None:
    """What holds for an alias of MODEL, and which lines say so."""
    from console.promotion.policy import places, policy_for
    from console.serving.isolated_rule import serving_rule

    found = policy_for(invocation.backend, name, alias)
    command = serving_rule(name)

    def human() -> None:
        print_record(
            {
                "approvals": f"{found.approvals} besides who asks" if found.approvals else "none are wanted",
                "void after": f"{found.expires_ms / 86_400_000:g} d" if found.approvals else "",
                "after": found.after,
                "protected": "yes" if found.protected or found.approvals else "no",
                "unattended": "triggers may promote" if found.unattended else "a person promotes",
                "override": "anybody, with a reason"
                if found.override is None
                else ", ".join(found.override) or "nobody",
                "worse": f"at most {found.worse:.2%} than the holder",
                "max size": f"{found.max_bytes:,} bytes" if found.max_bytes is not None else "",
                "latency": f"at most {found.latency_ms:g} ms for one row" if found.latency_ms is not None else "",
                "replay": f"at most {found.replay_changed:.2%} of answers change, {found.replay_failing} are missing"
                if found.gates.get("replay", "off") != "off"
                else "",
                "together": ", ".join(f"{alias}: {where}" for alias, where in found.together.items()),
                "gates": ", ".join(f"{gate} = {how}" for gate, how in found.gates.items()) or "each as it says",
                "served by": command.command if command is not None else "",
                "said by": ", ".join(found.sources),
            }
        )
        if not found.sources:
            narrate(
                f"no rule fits; rules are looked for in {', '.join(str(place) for place in places(invocation.backend))}"
            )

    invocation.show(found, human)


@policy.command("check")
@click.argument("path", required=False, type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def check(invocation: Invocation, path: Path | None) -> None:
    """Read the policies, or the file PATH, and list its rules; exit 2 and the line where one is wrong."""
    from console.promotion.policy import places, read_rules, rules_of
    from console.serving.isolated_rule import place, serving_rules

    found = read_rules(path) if path is not None else rules_of(invocation.backend)
    for each in (path or place(),):
        if each.exists():
            serving_rules(each)
    columns: list[Col[tuple[str, Rule]]] = [
        Col("where", lambda item: item[0], widest=60),
        Col("model", lambda item: item[1].model),
        Col("alias", lambda item: item[1].alias),
        Col("approvals", lambda item: "" if item[1].approvals is None else item[1].approvals, right=True),
        Col("gates", lambda item: " ".join(f"{gate}={how}" for gate, how in item[1].gates.items()), widest=60),
    ]
    if invocation.json:
        invocation.show({"items": [{"where": where, "rule": rule} for where, rule in found]}, lambda: None)
        return
    empty = (
        f"no rule; looked in {', '.join(str(place) for place in places(invocation.backend))}" if path is None else ""
    )
    invocation.show_items(found, columns, empty=empty or f"{path}: no rule")

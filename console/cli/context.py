"""`mlops-console context …`: which workspace or server is worked on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from console.cli.exit import Exit
from console.cli.output import Col, narrate, print_json, print_record, print_table
from console.cli.verb import Invocation, Noun, key_values
from console.config import Context, choose_context, load_config, use_context
from console.contexts.fields import MOST_APPROVALS, SAID, context_of
from console.wording import duration


def _said_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """An option for everything that the form on the screen asks, too."""
    kinds: dict[str, dict[str, Any]] = {
        "text": {"default": ""},
        "pairs": {"multiple": True},
        "yes": {"is_flag": True},
        "count": {"default": 0, "type": click.IntRange(0, MOST_APPROVALS)},
    }
    for each in reversed([each for each in SAID if each.option]):
        asked = dict(kinds[each.kind]) | ({"metavar": each.metavar} if each.metavar else {})
        command = click.option(each.option, each.key, help=each.note, **asked)(command)
    return command


@click.group("context", cls=Noun)
def context() -> None:
    """Which workspace or server is worked on."""


@context.command("list")
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """The contexts of config.toml; * is the current one."""
    config = load_config()
    chosen = choose_context(config, invocation.context, invocation.workspace).name
    items = [
        {
            "name": found.name,
            "current": found.name == chosen,
            "url": found.url,
            "production": found.production,
            "read_only": found.read_only,
            "note": found.note,
        }
        for found in sorted(config.contexts.values(), key=lambda found: found.name)
    ]
    if invocation.json:
        print_json({"items": items, "next": None})
        return
    print_table(
        items,
        [
            Col(" ", lambda item: "*" if item["current"] else " "),
            Col("context", lambda item: item["name"]),
            Col("where", lambda item: item["url"], widest=60),
            Col("care", lambda item: _care(config.contexts[str(item["name"])])),
            Col("note", lambda item: item["note"]),
        ],
    )
    narrate(f"from {config.path}" if config.path.exists() else f"no {config.path} yet: the default only")


@context.command("use")
@click.argument("name")
@click.pass_obj
def use(invocation: Invocation, name: str) -> None:
    """Make NAME the context that is used when none is named."""
    chosen = use_context(name)
    invocation.show(chosen, lambda: narrate(f"{chosen.name}: {chosen.url}"))


@context.command("add")
@click.argument("name")
@click.argument("url")
@_said_options
@click.option("--flavor", default="", help="Whose MLflow: oss, databricks, unity-catalog, azureml, sagemaker, dagshub.")
@click.option("--use", "use_it", is_flag=True, help="Make it the current context.")
@click.option("--no-test", is_flag=True, help="Ask none of them first: it is added as it is.")
@click.pass_obj
def add(
    invocation: Invocation,
    /,
    name: str,
    url: str,
    flavor: str,
    use_it: bool,
    no_test: bool,
    **said: Any,
) -> None:
    """Add a server, such as https://HOST, or a workspace directory, to config.toml.

    Managed servers by the address that MLflow knows them by: arn:aws:sagemaker:…, databricks://PROFILE,
    databricks-uc://PROFILE, azureml://…, or their https:// one.

    Each part is asked first, and what does not answer is not written down. No secret is: only the place where it is.
    """
    from console.contexts.written import add_context, check_new

    for each in SAID:
        if each.kind == "pairs":
            said[each.key] = key_values(said[each.key], each.option)
    if flavor and said["options"].setdefault("flavor", flavor) != flavor:
        raise click.UsageError(
            f"--flavor {flavor} and --option flavor={said['options']['flavor']} say two things; give one of them"
        )
    made = context_of({"name": name, "url": url, "read_only": invocation.read_only, **said})
    check_new(made)
    _ask(made, ask=not no_test)
    path = add_context(made)
    if use_it:
        use_context(name)
    added = load_config().context(name)
    invocation.show(added, lambda: narrate(f"{name}: {added.url}, in {path}" + (", the current one" if use_it else "")))


def _ask(made: Context, *, ask: bool) -> None:
    """Whether each part of it answers; what is silent is told with the way to add it all the same."""
    from console.contexts.asked import Silent, ask_context

    try:
        for each in ask_context(made, ask=ask):
            if each.said:
                narrate(
                    f"{each.part}: {each.where} {each.said}" if each.part != "registry" else f"{each.where} {each.said}"
                )
            for what, why in each.missing.items():
                narrate(f"without {what}: {why}")
    except Silent as silent:
        raise silent.told("--no-test adds it all the same") from silent.error


@context.command("show")
@click.argument("name", required=False)
@click.pass_obj
def show(invocation: Invocation, name: str | None) -> None:
    """What a context says; without NAME the current one."""
    config = load_config()
    found = choose_context(config, name or invocation.context, invocation.workspace)
    invocation.show(
        found,
        lambda: print_record(
            {
                "context": found.name,
                "where": found.url,
                "workspace": found.workspace,
                "launcher": found.launcher or "this machine",
                "care": _care(found),
                "note": found.note,
                "keeps": _keeps(found),
                "file": str(config.path),
            }
        ),
    )


def _keeps(found: Context) -> str:
    """The retention policy, and when the agent applied it last."""
    from console.agent.retention import last_applied
    from console.wording import ago, size

    if found.retention is None:
        return ""
    last = last_applied(found.directory) if found.directory is not None else None
    when = f"applied {ago(last.at)}, {size(last.bytes)} given back" if last else "not applied yet: the agent does it"
    return f"{found.retention.words()} ({when})"


@context.command("test")
@click.argument("name", required=False)
@click.option("--quick", is_flag=True, help="Only whether it answers and what it has.")
@click.option(
    "--seconds", default=120.0, show_default=True, type=click.FloatRange(1, 3_600), help="It may take at most."
)
@click.pass_obj
def test(invocation: Invocation, name: str | None, quick: bool, seconds: float) -> int:
    """Whether a context answers, what it has, and whether it keeps what an adapter promises; nothing is changed.

    Some two hundred small questions: pages, orders, filters, aliases, histories, metrics, files. Each promise is ok,
    lacking with the reason, wrong, or unseen where nothing is there to see it by. Then its metrics store and its
    cluster. Exit 1 where something is wrong or one of these is away, 3 where the server is.
    """
    from backends.checks import Verdict, first_answer
    from backends.readonly import READING
    from console.cli import context_checks

    if name:
        invocation.context = name
    begun = time.perf_counter()
    backend = invocation.backend
    first_answer(backend)
    took = time.perf_counter() - begun
    found = [] if quick else context_checks.checked(backend, seconds=seconds, shown=not invocation.json)
    table = invocation.session.context.metrics_table
    health = None
    if table is not None:
        from console.services.health import health_lines, source_health

        health = source_health(backend, table)
    ref = invocation.session.context.launcher_ref
    cluster = None
    if ref is not None:
        from console.cluster import cluster_line, look_at_cluster

        cluster = look_at_cluster(ref)
    document = {
        "context": invocation.session.context.name,
        "url": backend.url,
        "actor": invocation.session.actor,
        "seconds": round(took, 4),
        "capabilities": {capability: getattr(backend, capability) is not None for capability in READING},
        "missing": backend.missing,
        "features": backend.features,
        "cannot": context_checks.cannot(backend.features),
        "checks": found,
        "metrics": health,
        "launcher": cluster,
    }

    def human() -> None:
        narrate(f"{backend.url} answered in {duration(took)}, as {invocation.session.actor}")
        context_checks.print_capabilities(backend, found)
        context_checks.print_findings(found)
        context_checks.print_cannot(backend)
        if found:
            context_checks.print_sum(found)
        if health is not None:
            for line in health_lines(health):
                narrate(line)
        if cluster is not None:
            narrate(cluster_line(cluster))

    invocation.show(document, human)
    if any(each.away and each.capability != "metrics" for each in found):
        return Exit.UNREACHABLE
    away = (health is not None and health.trouble) or (cluster is not None and cluster.trouble)
    return Exit.FAILED if away or any(each.verdict is Verdict.WRONG for each in found) else Exit.DONE


def _care(found: Context) -> str:
    return ", ".join(word for word, on in (("PRODUCTION", found.production), ("read only", found.read_only)) if on)

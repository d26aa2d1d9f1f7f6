"""`mlops-console prompt …`: versions of prompts, and the aliases that callers load them by."""

from __future__ import annotations

import click

from backends.contract import NotFound, Refused
from backends.entities import AliasMove, Model, ModelVersion
from console.cli.model_text import MOVE_COLUMNS, telling
from console.cli.output import Col, gap, narrate, print_lines, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query, reason_option
from console.promotion.prompts import KIND, only_alias, text_of, type_of, variables_of
from console.wording import local_time, since


@click.group("prompt", cls=Noun)
def prompt() -> None:
    """Versions of prompts, and which of them callers get."""


PROMPT_COLUMNS: list[Col[Model]] = [
    Col("name", lambda item: item.name),
    Col("latest", lambda item: f"v{item.latest}" if item.latest else "", right=True),
    Col("aliases", lambda item: " ".join(f"{alias}=v{version}" for alias, version in sorted(item.aliases.items()))),
    Col("age", lambda item: since(item.updated_at or item.created_at), right=True),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]

VERSION_COLUMNS: list[Col[ModelVersion]] = [
    Col("version", lambda item: f"v{item.version}", right=True),
    Col("aliases", lambda item: " ".join(item.aliases)),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("text", lambda item: " ".join(text_of(item)[:400].split()), widest=60),
    Col("fills in", lambda item: " ".join(variables_of(item)), widest=40),
    Col("note", lambda item: item.note),
]

confirm_option = click.option(
    "--confirm", metavar="NAME", help="The prompt's name again, where the context is production."
)
alias_option = click.option("--alias", default="", help="The alias that moves; the only one without it.")


@prompt.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Registered prompts."""
    from backends.query import MODEL_FIELDS

    asked = parsed_query(query, where, sort, MODEL_FIELDS)
    page = invocation.need("registry").page(asked, at=at, limit=limit, kind=KIND)
    invocation.show_page(
        page,
        PROMPT_COLUMNS,
        empty="no prompt yet; mlflow.genai.register_prompt makes one (mlops-console env says where)",
    )


@prompt.command("versions")
@click.argument("name", metavar="PROMPT")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def versions(invocation: Invocation, name: str, limit: int, at: str) -> None:
    """The versions of a prompt, newest first."""
    _known(invocation, name)
    page = invocation.need("registry").versions(name, at=at, limit=limit)
    invocation.show_page(page, VERSION_COLUMNS, empty=f"{name} has no versions")


@prompt.command("show")
@click.argument("name", metavar="PROMPT")
@click.argument("version", required=False)
@click.pass_obj
def show(invocation: Invocation, name: str, version: str | None) -> None:
    """A prompt and its latest versions, or the text of one VERSION (a number or @alias)."""
    found = _known(invocation, name)
    registry = invocation.need("registry")
    if version is not None:
        one: ModelVersion = registry.version(name, version)
        document = {**_plain(one), "text": text_of(one), "type": type_of(one), "variables": variables_of(one)}
        invocation.show(document, lambda: print_lines(text_of(one)))
        return
    recent = registry.versions(name, limit=10)

    def human() -> None:
        print_record(
            {
                "prompt": found.name,
                "aliases": ", ".join(f"{alias} = v{held}" for alias, held in sorted(found.aliases.items())),
                "created": local_time(found.created_at),
                "by": found.created_by,
                "note": found.note,
            }
        )
        gap()
        print_table(recent.items, VERSION_COLUMNS)

    invocation.show(found, human)


def _plain(version: ModelVersion) -> dict[str, object]:
    import msgspec

    made: dict[str, object] = msgspec.to_builtins(version)
    return made


@prompt.command("promote")
@click.argument("name", metavar="PROMPT")
@click.argument("version")
@alias_option
@click.option("--override", is_flag=True, help="In spite of failed gates; wants --reason, and is journaled.")
@confirm_option
@reason_option
@click.pass_obj
def promote(
    invocation: Invocation,
    name: str,
    version: str,
    alias: str,
    override: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    """Point the alias at VERSION, if callers can use it as they use what it replaces."""
    from console.promotion.promote import case_for
    from console.promotion.promote import promote as promote_version

    meant = _alias(_known(invocation, name), alias)
    case = case_for(invocation.backend, name, version, meant)
    invocation.confirm(name, confirm, deed=f"promote {name} v{case.candidate.version} to {meant}")
    outcome = promote_version(
        invocation.backend,
        name,
        case.candidate.version,
        meant,
        invocation.mutation(reason, key),
        expected=case.expected,
        override=override,
        tell=telling(invocation),
    )
    from console.cli.model_text import say_outcome

    say_outcome(invocation, outcome)


@prompt.command("rollback")
@click.argument("name", metavar="PROMPT")
@alias_option
@click.option("--to", metavar="VERSION", help="Back to this version; without it, to the one before.")
@confirm_option
@reason_option
@click.pass_obj
def rollback(
    invocation: Invocation, name: str, alias: str, to: str | None, confirm: str | None, reason: str, key: str
) -> None:
    """Put the version back that the alias was at before."""
    from console.promotion.rollback import rollback as roll_back

    found = _known(invocation, name)
    meant = _alias(found, alias)
    invocation.confirm(name, confirm, deed=f"roll {name} {meant} back")
    mutation = invocation.mutation(reason, key)
    move = roll_back(invocation.backend, name, meant, mutation, to=to, expected=found.aliases.get(meant))
    _say_move(invocation, move)


@prompt.command("history")
@click.argument("name", metavar="PROMPT")
@click.option("--alias", default="", help="Only this alias.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.pass_obj
def history(invocation: Invocation, name: str, alias: str, limit: int) -> None:
    """How the aliases of a prompt moved, newest first."""
    _known(invocation, name)
    moves = invocation.need("registry").history(name, alias=alias, limit=limit)
    invocation.show_items(moves, MOVE_COLUMNS, empty=f"no alias of {name} has moved")


def _known(invocation: Invocation, name: str) -> Model:
    found: Model = invocation.need("registry").get(name)
    if found.kind != KIND:
        raise NotFound(f"{name} is a model and no prompt; mlops-console model show {name} tells of it.")
    return found


def _alias(found: Model, asked: str) -> str:
    meant = asked or only_alias(found)
    if not meant:
        known = ", ".join(sorted(found.aliases)) or "none"
        raise Refused(f"prompt {found.name} has the aliases {known}: say which one moves, --alias NAME.")
    return meant


def _say_move(invocation: Invocation, move: AliasMove) -> None:
    def human() -> None:
        before = f"v{move.previous}" if move.previous else "nothing"
        after = f"v{move.version}" if move.version else "nothing"
        narrate(f"{move.model} {move.alias}: {before} → {after}. Undo: mlops-console model undo")

    invocation.show(move, human)

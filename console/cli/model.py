"""`mlops-console model …`: register, promote, roll back model versions."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import AliasMove, Model, ModelVersion
from console.cli.model_text import (
    GATE_COLUMNS,
    MODEL_COLUMNS,
    VERSION_COLUMNS,
    print_version,
    say_outcome,
    telling,
)
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation, Noun, listing, parsed_query, reason_option
from console.training.find import find_run
from console.wording import local_time


@click.group("model", cls=Noun)
def model() -> None:
    """Register, promote, roll back model versions."""


alias_option = click.option("--alias", default="champion", show_default=True, help="The alias that moves.")
replay_option = click.option(
    "--replay", metavar="N", type=click.IntRange(1), help="Replay the last N logged requests first, as `model replay`."
)
confirm_option = click.option(
    "--confirm", metavar="NAME", help="The model's name again, where the context is production."
)


@model.command("list")
@listing
@click.pass_obj
def list_(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Registered models."""
    from backends.query import MODEL_FIELDS

    page = invocation.need("registry").page(parsed_query(query, where, sort, MODEL_FIELDS), at=at, limit=limit)
    invocation.show_page(
        page, MODEL_COLUMNS, empty="no model yet; mlops-console model register RUN --model NAME makes one"
    )


@model.command("versions")
@click.argument("name", metavar="MODEL")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="Rows at most.")
@click.option("--at", default="", metavar="CURSOR", help="Go on from what an earlier list gave as next.")
@click.pass_obj
def versions(invocation: Invocation, name: str, limit: int, at: str) -> None:
    """The versions of a model, newest first."""
    page = invocation.need("registry").versions(name, at=at, limit=limit)
    invocation.show_page(page, VERSION_COLUMNS, empty=f"{name} has no versions")


@model.command("show")
@click.argument("name", metavar="MODEL")
@click.argument("version", required=False)
@click.pass_obj
def show(invocation: Invocation, name: str, version: str | None) -> None:
    """A model, or one VERSION of it (a number or @alias)."""
    registry = invocation.need("registry")
    if version is None:
        found: Model = registry.get(name)
        recent = registry.versions(name, limit=10)

        def human() -> None:
            print_record(
                {
                    "model": found.name,
                    "aliases": ", ".join(f"{alias} = v{held}" for alias, held in sorted(found.aliases.items())),
                    "created": local_time(found.created_at),
                    "by": found.created_by,
                    "tags": ", ".join(f"{key}={value}" for key, value in sorted(found.tags.items())),
                    "note": found.note,
                }
            )
            gap()
            print_table(recent.items, VERSION_COLUMNS)

        invocation.show(found, human)
        return
    from console.serving.onnx.facts import said_of

    one = _with_package(invocation, registry.version(name, version))
    moves = _moves_of(invocation, one)
    onnx = said_of(invocation.backend, one)
    document = {**msgspec.to_builtins(one), "history": moves, "onnx": onnx} if invocation.json else {}
    invocation.show(document, lambda: print_version(one, moves, onnx))


def _moves_of(invocation: Invocation, version: ModelVersion) -> tuple[AliasMove, ...]:
    """How aliases came to the version and left it, newest first; none where the registry keeps no history."""
    if not invocation.backend.features.history:
        return ()
    moves = invocation.need("registry").history(version.model)
    return tuple(move for move in moves if version.version in (move.version, move.previous))


def _with_package(invocation: Invocation, version: ModelVersion) -> ModelVersion:
    """The version with what its MLmodel says; without it, and a word why, where its files cannot be reached."""
    from backends.contract import BackendError
    from backends.mlmodel import with_package

    try:
        return with_package(invocation.backend, version)
    except BackendError as error:
        narrate(f"its MLmodel: {error}")
        return version


@model.command("artifacts")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@click.argument("path", required=False)
@click.pass_obj
def artifacts(invocation: Invocation, name: str, version: str, path: str | None) -> None:
    """The files of VERSION (a number or @alias), one folder at a time."""
    from console.cli.files import ARTIFACT_COLUMNS
    from console.training.download import home_of

    place = home_of(invocation.need("registry").version(name, version))
    inner = "/".join(part for part in (place.folder, (path or "").strip("/")) if part)
    found = invocation.need("artifacts").children(place.owner, inner)
    invocation.show_items(found, ARTIFACT_COLUMNS, empty="nothing there")


@model.command("download")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path), required=False)
@click.option("--path", default="", metavar="PATH", help="One file or folder of it; without it, all.")
@click.pass_obj
def download(invocation: Invocation, name: str, version: str, target: Path | None, path: str) -> None:
    """Copy the files of VERSION (a number or @alias) to TARGET (MODEL-vN here without it), over nothing."""
    from console.cli.files import save
    from console.training.download import home_of

    found: ModelVersion = invocation.need("registry").version(name, version)
    place = home_of(found)
    inner = "/".join(part for part in (place.folder, path.strip("/")) if part)
    plain = Path(inner).name if path else f"{found.model}-v{found.version}".replace("/", "_")
    save(invocation, place.owner, inner, target or Path(plain))


@model.command("search")
@listing
@click.pass_obj
def search(invocation: Invocation, query: tuple[str, ...], where: str, sort: str, limit: int, at: str) -> None:
    """Versions of any model. QUERY: run = 3f2a… and tags.team = red"""
    from backends.query import VERSION_FIELDS

    page = invocation.need("registry").search(parsed_query(query, where, sort, VERSION_FIELDS), at=at, limit=limit)
    named = [Col[ModelVersion]("model", lambda item: item.model), *VERSION_COLUMNS]
    invocation.show_page(page, named, empty="no version matches")


@model.command("create")
@click.argument("name")
@reason_option
@click.pass_obj
def create(invocation: Invocation, name: str, reason: str, key: str) -> None:
    """A model without versions; registering a run makes its own."""
    made: Model = invocation.need("registry").create(name, invocation.mutation(reason, key))
    invocation.show(made, lambda: narrate(f"model {made.name}: made"))


@model.command("rename")
@click.argument("name", metavar="MODEL")
@click.argument("new")
@confirm_option
@reason_option
@click.pass_obj
def rename(invocation: Invocation, name: str, new: str, confirm: str | None, reason: str, key: str) -> None:
    """Give a model another name, with its versions, aliases and history. Callers by the old name find nothing."""
    invocation.confirm(name, confirm, deed=f"rename {name} to {new}")
    after: Model = invocation.need("registry").rename(name, new, invocation.mutation(reason, key))
    invocation.show(after, lambda: narrate(f"{name} is {after.name} now"))


@model.command("delete")
@click.argument("name", metavar="MODEL")
@confirm_option
@reason_option
@click.pass_obj
def delete(invocation: Invocation, name: str, confirm: str | None, reason: str, key: str) -> None:
    """Delete a model with all its versions, for good; the journal keeps that it was."""
    registry = invocation.need("registry")
    registry.get(name)
    invocation.confirm(name, confirm, deed=f"delete {name} for good", production_only=False)
    registry.delete(name, invocation.mutation(reason, key))
    invocation.show({"model": name, "deleted": True}, lambda: narrate(f"{name}: deleted"))


@model.command("delete-version")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@confirm_option
@reason_option
@click.pass_obj
def delete_version(invocation: Invocation, name: str, version: str, confirm: str | None, reason: str, key: str) -> None:
    """Delete one version, for good, and the aliases that it holds."""
    registry = invocation.need("registry")
    found: ModelVersion = registry.version(name, version)
    invocation.confirm(name, confirm, deed=f"delete {name} v{found.version} for good", production_only=False)
    registry.delete_version(name, found.version, invocation.mutation(reason, key))
    invocation.show(
        {"model": name, "version": found.version, "deleted": True}, lambda: narrate(f"{name} v{found.version}: deleted")
    )


@model.command("register")
@click.argument("run_id", metavar="RUN")
@click.option("--model", "name", required=True, metavar="NAME", help="The model whose next version it becomes.")
@reason_option
@click.pass_obj
def register(invocation: Invocation, run_id: str, name: str, reason: str, key: str) -> None:
    """Make the model that RUN trained the next version of a registered model."""
    from console.promotion.register import register_run

    run = find_run(invocation.need("runs"), run_id)
    version = register_run(invocation.backend, run.id, name, invocation.mutation(reason, key))
    invocation.show(version, lambda: narrate(f"{version.model} v{version.version} from run {run.id[:8]}"))


@model.command("gates")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@alias_option
@replay_option
@click.pass_context
def gates(ctx: click.Context, name: str, version: str, alias: str, replay: int | None) -> int:
    """What stands before promoting VERSION; exit 1 when a gate fails."""
    from console.promotion.gates import evaluate_gates

    invocation = ctx.find_object(Invocation)
    assert invocation is not None  # noqa: S101
    if replay is not None:
        from console.cli.model_replay import replay_first

        replay_first(invocation, name, version, alias, replay)
    one = invocation.need("registry").version(name, version)
    results = evaluate_gates(invocation.backend, one, alias)
    invocation.show_items(results, GATE_COLUMNS, empty="no gates")
    from console.cli.exit import Exit

    return Exit.FAILED if any(result.status == "fail" for result in results) else Exit.DONE


@model.command("promote")
@click.argument("name", metavar="MODEL")
@click.argument("version")
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    default=("champion",),
    show_default=True,
    help="The alias that moves; more of them move together or not at all.",
)
@click.option("--override", is_flag=True, help="Promote in spite of failed gates; wants --reason, and is journaled.")
@click.option("--expected", metavar="VERSION", help="Only if the alias is at this version ('none': nowhere).")
@confirm_option
@reason_option
@click.pass_obj
def promote(
    invocation: Invocation,
    name: str,
    version: str,
    aliases: tuple[str, ...],
    override: bool,
    expected: str | None,
    confirm: str | None,
    reason: str,
    key: str,
) -> None:
    """Point the alias at VERSION, if its gates pass and nobody else moved it; or ask those whom the policy wants.

    Servers that follow the alias load VERSION before it moves; what the policy sends along moves with it.
    """
    from console.promotion.promote import case_for
    from console.promotion.promote import promote as promote_version

    alias, *also = aliases
    case = case_for(invocation.backend, name, version, alias, also=also)
    holder = case.holder.version if case.holder is not None else None
    where = " and ".join(aliases)
    invocation.confirm(name, confirm, deed=f"promote {name} v{case.candidate.version} to {where}")
    outcome = promote_version(
        invocation.backend,
        name,
        case.candidate.version,
        alias,
        invocation.mutation(reason, key),
        expected=_expected(expected, holder),
        override=override,
        also=also,
        tell=telling(invocation),
    )
    say_outcome(invocation, outcome)


@model.command("rollback")
@click.argument("name", metavar="MODEL")
@alias_option
@click.option("--to", metavar="VERSION", help="Back to this version; without it, to the one before.")
@click.option("--expected", metavar="VERSION", help="Only if the alias is at this version.")
@click.option("--preview", is_flag=True, help="Say what callers would notice, and change nothing.")
@confirm_option
@reason_option
@click.pass_obj
def rollback(
    invocation: Invocation,
    name: str,
    alias: str,
    to: str | None,
    expected: str | None,
    preview: bool,
    confirm: str | None,
    reason: str,
    key: str,
) -> int | None:
    """Put the version back that the alias was at before, and what moved with it since.

    With --preview: which deployments would answer with what, which columns callers send differ, the metrics of both,
    whether the model file is whole (exit 1 where it is not), and to whom else one can go back.
    """
    from console.promotion.rollback import rollback as roll_back

    if preview:
        from console.cli.rollback_text import show_case

        return show_case(invocation, name, alias, to)
    held = invocation.need("registry").get(name).aliases.get(alias)
    invocation.confirm(name, confirm, deed=f"roll {name} {alias} back")
    move = roll_back(
        invocation.backend,
        name,
        alias,
        invocation.mutation(reason, key),
        to=to,
        expected=_expected(expected, held),
        tell=telling(invocation),
    )
    say_outcome(invocation, move)
    return None


@model.command("undo")
@click.argument("entry", required=False)
@confirm_option
@reason_option
@click.pass_obj
def undo(invocation: Invocation, entry: str | None, confirm: str | None, reason: str, key: str) -> None:
    """Take back your last alias change, or the journal ENTRY."""
    from backends.contract import Refused
    from console.promotion.undo import undo as take_back
    from console.promotion.undo import undoable

    found = invocation.need("journal").get(entry) if entry else undoable(invocation.backend, invocation.session.actor)
    if found is None:
        raise Refused(f"nothing to undo: {invocation.session.actor} has changed no alias that is still as they left it")
    invocation.confirm(found.target, confirm, deed=f"undo {found.action} of {found.target}")
    move = take_back(invocation.backend, found, invocation.mutation(reason, key), tell=telling(invocation))
    say_outcome(invocation, move)


@model.command("note")
@click.argument("name", metavar="MODEL")
@click.argument("text")
@click.option("--version", default="", help="A note on this version instead of the model.")
@reason_option
@click.pass_obj
def note(invocation: Invocation, name: str, text: str, version: str, reason: str, key: str) -> None:
    """Write a note on a model or a version."""
    registry = invocation.need("registry")
    registry.set_note(name, version, text, invocation.mutation(reason, key))
    after = registry.version(name, version) if version else registry.get(name)
    invocation.show(after, lambda: narrate(f"{name}{f' v{version}' if version else ''}: {after.note}"))


def _expected(asked: str | None, held: str | None) -> str | None:
    if asked is None:
        return held
    return None if asked == "none" else asked


# The noun's further verbs, which are written on it.
from console.cli import model_approve as _approve  # noqa: E402, F401
from console.cli import model_bias as _bias  # noqa: E402, F401
from console.cli import model_card as _card  # noqa: E402, F401
from console.cli import model_case as _case  # noqa: E402, F401
from console.cli import model_explain as _explain  # noqa: E402, F401
from console.cli import model_export as _export  # noqa: E402, F401
from console.cli import model_history as _history  # noqa: E402, F401
from console.cli import model_replay as _replay  # noqa: E402, F401

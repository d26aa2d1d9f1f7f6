"""`mlops-console dataset features …`: named, versioned definitions of columns."""

from __future__ import annotations

from pathlib import Path

import click

from backends.contract import NotFound
from backends.entities import Definition
from console.cli.dataset import dataset
from console.cli.output import Col, gap, narrate, print_record, print_table
from console.cli.verb import Invocation, Noun, reason_option
from console.data.features.grammar import (
    KIND,
    AppliedTo,
    Feature,
    FeatureChange,
    FeatureSet,
    diff_features,
    parse_features,
)
from console.wording import local_time, plural, since

SET_COLUMNS: list[Col[Definition]] = [
    Col("set", lambda item: item.ref),
    Col("features", lambda item: len(_set(item).features), right=True),
    Col("of", lambda item: _set(item).dataset),
    Col("key", lambda item: ", ".join(_set(item).key)),
    Col("time", lambda item: _set(item).time),
    Col("age", lambda item: since(item.created_at), right=True),
    Col("by", lambda item: item.created_by),
    Col("note", lambda item: item.note),
]
FEATURE_COLUMNS: list[Col[Feature]] = [
    Col("feature", lambda item: item.name),
    Col("type", lambda item: item.type),
    Col("as", lambda item: item.as_, widest=60),
    Col("unit", lambda item: item.unit),
    Col("owner", lambda item: item.owner),
    Col("meaning", lambda item: item.note, widest=60),
]
CHANGE_COLUMNS: list[Col[FeatureChange]] = [
    Col("feature", lambda item: item.name or "(the set)"),
    Col("change", lambda item: item.change),
    Col("before", lambda item: item.before, widest=60),
    Col("after", lambda item: item.after, widest=60),
]


@dataset.group("features", cls=Noun)
def features() -> None:
    """Define columns once, for training, batches and the model server."""


@features.command("define")
@click.argument("file", type=click.Path(path_type=Path))
@reason_option
@click.pass_obj
def define(invocation: Invocation, file: Path, reason: str, key: str) -> None:
    """Keep the feature set in FILE (TOML) as its next version, checked against its dataset's columns."""
    from console.data.features.offloaded import define_offloaded

    definition, created = define_offloaded(invocation.backend, file.absolute(), invocation.mutation(reason, key))
    said = "" if created else " says this already; nothing was added"
    invocation.show(
        definition,
        lambda: narrate(f"{definition.ref}: {plural(len(_set(definition).features), 'feature')}{said}"),
    )


@features.command("list")
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """The feature sets, each in its latest version."""
    page = invocation.need("definitions").page(KIND)
    invocation.show_page(
        page, SET_COLUMNS, empty="no feature set yet; mlops-console dataset features define FILE keeps one"
    )


@features.command("show")
@click.argument("ref", metavar="SET[@VERSION]")
@click.pass_obj
def show(invocation: Invocation, ref: str) -> None:
    """What a set is of, and each of its features."""
    definition: Definition = invocation.need("definitions").get(KIND, ref)
    found = _set(definition)

    def human() -> None:
        print_record(
            {
                "set": definition.ref,
                "of": found.dataset,
                "key": ", ".join(found.key),
                "time": found.time,
                "created": f"{local_time(definition.created_at)} by {definition.created_by}",
                "note": found.note,
            }
        )
        gap()
        print_table(found.features, FEATURE_COLUMNS)

    invocation.show({"definition": definition, "features": found.features}, human)


@features.command("diff")
@click.argument("before", metavar="SET@VERSION")
@click.argument("after", metavar="SET[@VERSION]", required=False)
@click.pass_obj
def diff(invocation: Invocation, before: str, after: str | None) -> None:
    """Features added, removed and changed between two versions; without AFTER, to the latest."""
    show_difference(invocation, before, after or before.partition("@")[0])


def show_difference(invocation: Invocation, before: str, after: str) -> None:
    definitions = invocation.need("definitions")
    old, new = definitions.get(KIND, before), definitions.get(KIND, after)
    invocation.show_items(
        diff_features(_set(old), _set(new)), CHANGE_COLUMNS, empty=f"{old.ref} and {new.ref} define the same features"
    )


def are_sets(invocation: Invocation, *refs: str) -> bool:
    """Each is a feature set, and no dataset has its name."""
    if invocation.backend.definitions is None:
        return False
    for ref in refs:
        try:
            invocation.need("datasets").version(ref)
        except NotFound:
            try:
                invocation.need("definitions").get(KIND, ref)
            except NotFound:
                return False
        else:
            return False
    return True


@features.command("apply")
@click.argument("ref", metavar="SET[@VERSION]")
@click.option("--labels", default="", metavar="NAME[@VERSION]", help="Join onto these rows, as known at their time.")
@click.option("--on", multiple=True, metavar="COLUMN", help="The labels' key, in the order of the set's.")
@click.option("--at", default="", metavar="COLUMN", help="The labels' time.")
@click.option("--max-age", default="", metavar="AGE", help="How old a feature may be: 30min, 2h, 7d.")
@click.option("--from", "source", default="", metavar="NAME[@VERSION]", help="In place of the set's own dataset.")
@click.option("--name", default="", help="Of the new dataset.")
@reason_option
@click.pass_obj
def apply(
    invocation: Invocation,
    ref: str,
    labels: str,
    on: tuple[str, ...],
    at: str,
    max_age: str,
    source: str,
    name: str,
    reason: str,
    key: str,
) -> None:
    """Make a version with the features of a set.

    With --labels each of their rows gets the features of the latest row of its key that is not after its time.
    """
    from console.cli.follow import ProgressLine
    from console.data.features.offloaded import apply_offloaded

    if not labels and (on or at or max_age):
        raise click.UsageError("--on, --at and --max-age go with --labels")
    job = AppliedTo(use=ref, source=source, labels=labels, on=on, at=at, max_age=max_age, name=name)
    with ProgressLine() as line:
        made = apply_offloaded(invocation.backend, job, invocation.mutation(reason, key), on_progress=line.follow)
    version = made.version
    had = "" if made.created else " (this very content was there already)"
    size = f"{plural(version.rows, 'row')}, {plural(len(version.columns), 'column')}"
    invocation.show(made, lambda: narrate(f"{version.ref}: {size}{had}"))


def _set(definition: Definition) -> FeatureSet:
    return parse_features(definition.text, f"feature set {definition.ref}", definition.name)

"""The columns of models and of their versions."""

from __future__ import annotations

from collections.abc import Sequence

from backends.entities import AliasMove, Millis, Model, ModelVersion
from console.training.measured import headline, shared_order
from console.tui.columns import Column, metric
from console.tui.run_columns import data_cell, short_actor
from console.wording import NOTHING, age, in_weight

METRICS = 4


def model_columns(champions: dict[str, ModelVersion]) -> tuple[Column[Model], ...]:
    """Name, who holds the aliases, how good the champion is, how many versions, when it changed."""

    def held(alias: str) -> Column[Model]:
        return Column(
            alias,
            alias,
            lambda model: f"v{model.aliases[alias]}" if alias in model.aliases else NOTHING,
            max(8, len(alias)),
            right=True,
            priority=0 if alias == "champion" else 2,
        )

    def quality(model: Model) -> str:
        version = champions.get(model.name)
        name = headline(version) if version else ""
        return f"{name} {metric(version.metrics[name])}" if version and name else NOTHING

    return (
        Column("name", "name", lambda m: m.name, 16, grow=3, most=48, sort="name"),
        held("champion"),
        held("challenger"),
        Column("quality", "champion's", quality, 16, priority=1),
        Column("versions", "versions", lambda m: m.versions, 8, right=True, priority=3, order=lambda m: m.versions),
        Column(
            "updated", "changed", lambda m: age(m.updated_at), 7, right=True, priority=3, order=lambda m: m.updated_at
        ),
        Column("user", "by", lambda m: short_actor(m.created_by), 8, priority=5, grow=1, most=16),
        Column("note", "note", lambda m: m.note, 12, priority=6, grow=4, most=60),
    )


def main_metrics(versions: Sequence[ModelVersion], most: int = METRICS) -> list[str]:
    """The metrics to show as columns: those the versions are judged by, then the others."""
    return shared_order(versions)[:most]


def version_columns(metrics: Sequence[str], moves: Sequence[AliasMove]) -> tuple[Column[ModelVersion], ...]:
    """Version, aliases and since when, metrics, data, run, age, by, note."""

    latest: dict[str, AliasMove] = {}
    # By version and alias, the newest; moves come newest first.
    for move in moves:
        if move.version is not None:
            latest.setdefault(f"{move.version} {move.alias}", move)

    def arrival(version: ModelVersion) -> AliasMove | None:
        held = [latest[key] for alias in version.aliases if (key := f"{version.version} {alias}") in latest]
        return max(held, key=lambda move: move.at, default=None)

    def since(version: ModelVersion) -> Millis | None:
        found = arrival(version)
        return found.at if found else None

    def setter(version: ModelVersion) -> str:
        found = arrival(version)
        return short_actor(found.actor) if found else NOTHING

    return (
        Column("version", "version", lambda v: f"v{v.version}", 7, order=_numeric),
        Column(
            "aliases",
            "alias",
            lambda v: ", ".join(in_weight(v.aliases)) or NOTHING,
            10,
            grow=1,
            most=24,
            tone=lambda v: "accent" if v.aliases else "",
        ),
        Column("since", "since", lambda v: age(since(v)), 5, right=True, priority=3, order=since),
        Column("set", "set by", setter, 8, priority=7, grow=1, most=16),
        *(_metric_column(name, at) for at, name in enumerate(metrics)),
        Column("data", "data", data_cell, 12, priority=4, grow=1, most=24),
        Column("run", "run", lambda v: v.run[:8] or NOTHING, 8, priority=6),
        Column("created", "age", lambda v: age(v.created_at), 5, right=True, priority=2, order=lambda v: v.created_at),
        Column("user", "by", lambda v: short_actor(v.created_by), 8, priority=7, grow=1, most=16),
        Column("note", "note", lambda v: v.note, 12, priority=8, grow=3, most=60),
    )


def _numeric(version: ModelVersion) -> object:
    return int(version.version) if version.version.isdecimal() else version.version


def _metric_column(name: str, at: int) -> Column[ModelVersion]:
    return Column(
        f"metrics.{name}",
        name,
        lambda version: metric(version.metrics.get(name)),
        max(8, min(12, len(name) + 2)),
        right=True,
        priority=0 if at == 0 else 1 + at,
        order=lambda version: version.metrics.get(name),
    )


def prompt_columns() -> tuple[Column[Model], ...]:
    """Name, where its aliases stand, how many versions, when it changed."""

    def held(prompt: Model) -> str:
        return "  ".join(f"{alias} v{version}" for alias, version in sorted(prompt.aliases.items())) or NOTHING

    return (
        Column("name", "name", lambda m: m.name, 16, grow=3, most=48, sort="name"),
        Column("aliases", "aliases", held, 16, grow=2, most=48),
        Column("versions", "versions", lambda m: m.versions, 8, right=True, priority=3, order=lambda m: m.versions),
        Column(
            "updated", "changed", lambda m: age(m.updated_at), 7, right=True, priority=3, order=lambda m: m.updated_at
        ),
        Column("user", "by", lambda m: short_actor(m.created_by), 8, priority=5, grow=1, most=16),
        Column("note", "note", lambda m: m.note, 12, priority=6, grow=4, most=60),
    )


def prompt_version_columns(moves: Sequence[AliasMove]) -> tuple[Column[ModelVersion], ...]:
    """Version, aliases and since when, how its text begins, what callers fill in."""
    from console.promotion.prompts import text_of, type_of, variables_of

    version, aliases, since, *_ = version_columns((), moves)
    return (
        version,
        aliases,
        since,
        Column("text", "text", lambda v: " ".join(text_of(v)[:400].split()) or NOTHING, 20, grow=5, most=100),
        Column(
            "variables", "fills in", lambda v: ", ".join(variables_of(v)) or NOTHING, 12, priority=1, grow=1, most=40
        ),
        Column("type", "type", type_of, 5, priority=4),
        Column("created", "age", lambda v: age(v.created_at), 5, right=True, priority=2, order=lambda v: v.created_at),
        Column("note", "note", lambda v: v.note, 12, priority=5, grow=3, most=60),
    )

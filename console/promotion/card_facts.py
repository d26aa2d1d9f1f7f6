"""Gathering what a model card says: from the registry, its run, its data, its reports and the journal.

Asks the contract only. Whatever one of them lacks is not known, and the card says so; nothing is guessed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from backends.contract import Backend, BackendError, Invalid, NotFound
from backends.entities import AliasMove, DatasetVersion, GateStatus, Model, ModelVersion, Report, Run
from console.model_meta import ModelMeta, read_meta
from console.promotion.card import (
    Card,
    CardData,
    CardFairness,
    CardMetric,
    CardMoves,
    CardSlice,
    CardSplit,
    CardTraining,
)
from console.promotion.consent import Consent, consents
from console.promotion.gates import evaluate_gates, told
from console.promotion.measures import TEST_COUNT_TAG, TEST_ROWS_TAG, lower_is_better, primary_of
from console.promotion.replayed import last_replay
from console.promotion.speed import speeds
from console.serving.onnx.facts import said_of
from console.training.audit.read import read_audit
from console.training.held_out_report import KIND as HELD_OUT
from console.training.held_out_report import HeldOutFigures
from console.training.measured import SIDE, in_order
from console.training.recipe import Recipe, parse_recipe

T = TypeVar("T")

MOST_TEXT = 200_000
"""Characters of a recipe or an environment that are read."""

OWNERS = ("owner", "owners", "team", "contact")
USES = ("intended_use", "use", "uses", "purpose")
LIMITS = ("limits", "limitations", "caveats", "out_of_scope")
"""Tags of a version or its model from which the card takes these."""


def card_of(backend: Backend, model: str, version: str, *, alias: str = "champion") -> Card:
    """The card of a version (a number, or @alias). NotFound where there is no such version."""
    found: ModelVersion = backend.need("registry").version(model, version)
    return _Gathering(backend, told(backend, found), alias).card()


def held_out_report(backend: Backend, version: ModelVersion) -> Report | None:
    """What was measured on the held-out rows of this very file, if it was measured already."""
    if backend.reports is None:
        return None
    report = backend.reports.latest(HELD_OUT, version.ref)
    return report if report is not None and report.digest == version.file.sha256 else None


class _Gathering:
    """One card in the making. What could not be had is in `unknown`."""

    def __init__(self, backend: Backend, version: ModelVersion, alias: str) -> None:
        self._backend = backend
        self._version = version
        self._alias = alias
        self._unknown: list[str] = []
        self._model = self._asked("the model's note and tags", lambda: self._registered())
        self._run = self._asked("the training run", self._find_run)
        self._meta = self._asked("what the training said of the model", self._read_meta)
        self._recipe_text = self._asked("the recipe", lambda: self._text("recipe.toml"))
        self._recipe = self._asked("the recipe", self._parse_recipe)

    def card(self) -> Card:
        version, model, meta = self._version, self._model, self._meta
        figures = self._figures()
        # The version's own tags are nearer than those of its model.
        tags = {**(model.tags if model else {}), **version.tags}
        metrics = tuple(self._metrics(figures))
        replay = self._asked("the replay of logged requests", lambda: last_replay(self._backend, version))
        same = replay if replay is not None and not replay.other_file else None
        requests = self._requests()
        done = [asked for asked in requests if asked.state == "done"]
        card = Card(
            model=version.model,
            version=version.version,
            made_at=int(time.time() * 1000),
            context=self._backend.name,
            note=version.note,
            model_note=model.note if model else "",
            aliases=version.aliases,
            registered_at=version.created_at,
            registered_by=version.created_by,
            owners=_said(tags, OWNERS),
            uses=_said(tags, USES),
            limits=_said(tags, LIMITS),
            tags=version.tags,
            data=tuple(self._data()),
            split=self._split(figures),
            training=self._training(),
            metrics=metrics,
            intervals=figures.how if figures else "",
            slices=tuple(CardSlice(where=s.where, rows=s.rows, ratio=s.ratio) for s in figures.slices)
            if figures
            else (),
            sliced=figures is not None and figures.sliced,
            importance=meta.importance if meta else {},
            fairness=self._fairness(),
            checks=self._checks(),
            audit=self._audit(),
            speed=self._asked("latency", lambda: speeds(self._backend, version, self._holder(), same)) or (),
            replay=same.figures.without_rows() if same else None,
            replayed_at=same.report.at if same else 0,
            signature=version.signature,
            file=version.file,
            onnx=self._onnx(),
            gates_alias=self._alias,
            gates=self._asked("the gates", lambda: evaluate_gates(self._backend, version, self._alias)) or (),
            history=self._history(),
            approvals=tuple(dict.fromkeys(each.actor for asked in done for each in asked.agreed)),
            requests=requests,
        )
        return msgspec.structs.replace(card, unknown=tuple(dict.fromkeys([*self._unknown, *_missing(card)])))

    # ------------------------------------------------------------ asking

    def _asked(self, what: str, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except BackendError as error:
            self._unknown.append(f"{what}: {error}")
            return None

    def _registered(self) -> Model:
        found: Model = self._backend.need("registry").get(self._version.model)
        return found

    def _holder(self) -> ModelVersion | None:
        held = self._model.aliases.get(self._alias) if self._model else None
        if held is None or held == self._version.version:
            return None
        found: ModelVersion = self._backend.need("registry").version(self._version.model, held)
        return found

    def _find_run(self) -> Run | None:
        if not self._version.run:
            return None
        found: Run = self._backend.need("runs").get(self._version.run)
        return found

    def _bytes(self, path: str) -> bytes | None:
        if self._run is None or self._backend.artifacts is None:
            return None
        try:
            with self._backend.artifacts.open(self._run.id, path).open("rb") as file:
                return file.read(16_000_000)
        except NotFound:
            return None

    def _text(self, path: str) -> str:
        return (self._bytes(path) or b"").decode("utf-8", "replace")[:MOST_TEXT]

    def _read_meta(self) -> ModelMeta | None:
        if self._run is None or self._backend.artifacts is None:
            return None
        try:
            return read_meta(self._backend, self._run.id, self._version.ref)
        except NotFound:
            return None
        except Invalid as error:
            self._unknown.append(f"what the training said of the model: {error}")
            return None

    def _parse_recipe(self) -> Recipe | None:
        return parse_recipe(self._recipe_text, "recipe.toml") if self._recipe_text else None

    def _figures(self) -> HeldOutFigures | None:
        report = self._asked("confidence intervals", lambda: held_out_report(self._backend, self._version))
        if report is None:
            return None
        try:
            return msgspec.convert(report.figures, HeldOutFigures)
        except msgspec.ValidationError as error:
            self._unknown.append(f"confidence intervals: the kept report cannot be read ({error})")
            return None

    # ------------------------------------------------------------ parts

    def _data(self) -> Iterator[CardData]:
        for each in self._version.inputs:
            kept: DatasetVersion | None = None
            if self._backend.datasets is not None and each.digest:
                store, digest = self._backend.datasets, each.digest
                try:
                    kept = store.version(digest)
                except BackendError:
                    self._unknown.append(f"rows of {each.dataset}@{each.version}: that version is not kept here")
            yield CardData(
                dataset=each.dataset,
                version=each.version,
                digest=each.digest,
                role=each.context,
                rows=kept.rows if kept else None,
                columns=len(kept.columns) if kept else None,
                source=kept.source if kept else each.source,
                made_by=kept.made_by if kept else "",
                kept=kept is not None,
            )

    def _split(self, figures: HeldOutFigures | None) -> CardSplit | None:
        recipe, meta, tags = self._recipe, self._meta, self._version.tags
        if recipe is None and meta is None and TEST_ROWS_TAG not in tags:
            return None
        counted = tags.get(TEST_COUNT_TAG, "")
        return CardSplit(
            by=recipe.split.by if recipe else "",
            column=recipe.split.column if recipe else "",
            share=recipe.split.test if recipe else None,
            folds=recipe.split.folds if recipe else 0,
            train_rows=meta.train_rows or None if meta else None,
            test_rows=meta.test.rows if meta else int(counted) if counted.isdigit() else None,
            test_rows_sha256=meta.test.rows_sha256 if meta else tags.get(TEST_ROWS_TAG, ""),
            periods=figures.periods if figures else {},
        )

    def _training(self) -> CardTraining:
        run, meta, version = self._run, self._meta, self._version
        environment = (self._asked("the environment", lambda: self._text("environment.txt")) or "").splitlines()
        package = version.package
        source = run.source if run else None
        described = bool(source and (source.commit or source.entry))
        libraries = (meta.libraries if meta else {}) or version.file.libraries
        if not libraries and package is not None:
            libraries = {name: held for name, held in (("python", package.python), ("mlflow", package.mlflow)) if held}
        return CardTraining(
            run=version.run,
            name=run.name if run else "",
            status=str(run.status) if run else "",
            by=run.created_by if run else "",
            started_at=run.started_at if run else None,
            ended_at=run.ended_at if run else None,
            task=meta.task if meta else version.tags.get("task", ""),
            target=meta.target if meta else version.tags.get("target", ""),
            estimator=self._recipe.estimator.class_ if self._recipe else "",
            recipe=self._recipe_text or "",
            params=version.params or (run.params if run else {}),
            seed=meta.seed if meta else self._recipe.seed if self._recipe else None,
            entry=source.entry if source else "",
            repo=source.repo if source else "",
            commit=source.commit if source else "",
            branch=source.branch if source else "",
            dirty=source.dirty if source and described else None,
            environment=environment[0].removeprefix("#").strip() if environment else "",
            libraries=libraries,
            packages=sum("==" in line for line in environment) if environment else None,
            left_out=meta.dropped if meta else {},
        )

    def _metrics(self, figures: HeldOutFigures | None) -> Iterator[CardMetric]:
        metrics, primary = self._version.metrics, primary_of(self._version)
        for name in in_order(self._version):
            if name.startswith(SIDE):
                continue
            found = figures.metrics.get(name) if figures else None
            if found is not None and abs(found.value - metrics[name]) > 1e-6 * max(1.0, abs(found.value)):
                self._unknown.append(
                    f"interval of {name}: {metrics[name]:.6g} is recorded, and the held-out predictions give "
                    f"{found.value:.6g}; they do not belong together"
                )
                found = None
            yield CardMetric(
                name=name,
                value=metrics[name],
                low=found.low if found else None,
                high=found.high if found else None,
                lower_is_better=lower_is_better(name),
                baseline=metrics.get(f"baseline.{name}"),
                training=metrics.get(f"train.{name}"),
                primary=name == primary,
            )

    def _fairness(self) -> CardFairness | None:
        store = self._backend.reports
        if store is None:
            return None
        report = self._asked("bias", lambda: store.latest("bias", self._version.ref))
        if report is None:
            return None
        if report.digest != self._version.file.sha256:
            self._unknown.append("bias: it was examined on another file than this version's")
            return None
        return CardFairness(
            by=report.definition,
            on=str(report.figures.get("on", "")),
            at=report.at,
            actor=report.actor,
            status=str(report.status),
            results=report.results,
        )

    def _onnx(self) -> str:
        return str(self._asked("its ONNX form", lambda: said_of(self._backend, self._version)) or "")

    def _checks(self) -> tuple[Any, ...]:
        store = self._backend.reports
        trained = next((each for each in self._version.inputs if each.context == "training"), None)
        if store is None or trained is None:
            return ()
        ref = f"{trained.dataset}@{trained.version}"
        report = self._asked("data checks", lambda: store.latest("checks", ref))
        return report.results if report is not None and report.digest in ("", trained.digest) else ()

    def _audit(self) -> tuple[Any, ...]:
        if self._run is None:
            return ()
        run = self._run.id
        found = self._asked("the audit", lambda: read_audit(self._backend, run))
        return found.results if found is not None else ()

    def _history(self) -> tuple[CardMoves, ...]:
        if not self._backend.features.history:
            return ()
        moves: tuple[AliasMove, ...] = (
            self._asked(
                "the history of aliases",
                lambda: self._backend.need("registry").history(self._version.model, limit=10_000),
            )
            or ()
        )
        mine = [move for move in moves if self._version.version in (move.version, move.previous)]
        return tuple(CardMoves(move=move, overridden=self._overridden(move)) for move in mine)

    def _requests(self) -> tuple[Consent, ...]:
        model, number = self._version.model, self._version.version
        found = self._asked("who agreed", lambda: consents(self._backend, model)) or ()
        return tuple(each for each in found if each.version == number)

    def _overridden(self, move: AliasMove) -> tuple[str, ...]:
        if self._backend.journal is None or not move.entry or move.version != self._version.version:
            return ()
        try:
            entry = self._backend.journal.get(move.entry)
        except BackendError:
            return ()
        return tuple(gate.gate for gate in entry.gates if gate.status is GateStatus.FAIL)


def _said(tags: dict[str, str], names: tuple[str, ...]) -> str:
    lowered = {key.lower(): value for key, value in tags.items()}
    return next((lowered[name] for name in names if lowered.get(name)), "")


def _missing(card: Card) -> Iterator[str]:
    """Facts that a card should have and nobody recorded, each with what would fill it in."""
    trained = card.training
    wanted: tuple[tuple[str, bool, str], ...] = (
        ("who answers for it", bool(card.owners), f"tag the model or the version with {OWNERS[0]}"),
        ("what it is for", bool(card.uses or card.note or card.model_note), f"tag it with {USES[0]}, or write a note"),
        ("where it must not be used", bool(card.limits), f"tag it with {LIMITS[0]}"),
        ("data", bool(card.data), "the run names no dataset"),
        ("how rows were held out", card.split is not None, "it was not trained by a recipe of this console"),
        ("code commit", bool(trained.commit), "the run was not started from a git checkout"),
        ("recipe", bool(trained.recipe), "the run left no recipe.toml"),
        ("seed", trained.seed is not None, "nobody recorded it"),
        ("environment", bool(trained.environment or trained.libraries), "nobody recorded it"),
        ("metrics", bool(card.metrics), "none was measured"),
        (
            "confidence intervals",
            not card.metrics or any(each.low is not None for each in card.metrics),
            "its predictions of the held-out rows were not kept or not looked at",
        ),
        ("worst slices", card.sliced, "the held-out rows were not looked at"),
        ("bias", card.fairness is not None, "nobody compared groups: mlops-console model bias"),
        ("data checks", bool(card.checks), "nobody checked the training data: mlops-console dataset check"),
        ("audit of the training", bool(card.audit), "only trainings from a recipe are audited"),
        (
            "latency",
            any(each.one_p95 is not None for each in card.speed[:1]),
            "nobody measured it: mlops-console model replay",
        ),
        (
            "replay of requests",
            card.replay is not None and card.replay.logged > 0,
            "nobody replayed any: mlops-console model replay",
        ),
        ("signature", bool(card.signature.inputs), "none was recorded"),
        ("sha256 of the file", bool(card.file.sha256), "none was recorded"),
    )
    for what, known, why in wanted:
        if not known:
            yield f"{what}: {why}"

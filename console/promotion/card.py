"""A model card: everything that is known of a version, as one frozen record. Its JSON is the documented shape.

Times are milliseconds since the epoch, UTC. A fact that nobody recorded is empty or None, and `unknown` says which
facts are missing and why. `format` grows by one when a field changes its meaning; fields may be added meanwhile. The
parts are those of Mitchell et al., "Model cards for model reporting", FAT* 2019.
"""

from __future__ import annotations

import msgspec

from backends.entities import AliasMove, CheckResult, GateResult, Millis, ModelFile, Record, Signature
from console.promotion.consent import Consent
from console.promotion.speed import SpeedOf
from console.serving.replay.figures import Replay

FORMAT = 1


class CardData(Record, frozen=True, kw_only=True):
    """A dataset version that the model was trained on or held against."""

    dataset: str
    version: str
    digest: str
    role: str
    """`training`, `test`, …"""
    rows: int | None = None
    columns: int | None = None
    source: str = ""
    made_by: str = ""
    kept: bool = False
    """The version is in this context's store."""


class CardSplit(Record, frozen=True, kw_only=True):
    """How rows were held out."""

    by: str
    column: str = ""
    share: float | None = None
    folds: int = 0
    train_rows: int | None = None
    test_rows: int | None = None
    test_rows_sha256: str = ""
    periods: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)
    """`training`, `test` → first and last time, ISO."""


class CardTraining(Record, frozen=True, kw_only=True):
    """How it was trained."""

    run: str = ""
    name: str = ""
    status: str = ""
    by: str = ""
    started_at: Millis | None = None
    ended_at: Millis | None = None
    task: str = ""
    target: str = ""
    estimator: str = ""
    recipe: str = ""
    """The recipe's text."""
    params: dict[str, str] = msgspec.field(default_factory=dict)
    seed: int | None = None
    entry: str = ""
    repo: str = ""
    commit: str = ""
    branch: str = ""
    dirty: bool | None = None
    """The code had changes that were not committed; None where nobody looked."""
    environment: str = ""
    """Python and the machine it ran on."""
    libraries: dict[str, str] = msgspec.field(default_factory=dict)
    packages: int | None = None
    """How many packages are pinned in `environment.txt` of the run."""
    left_out: dict[str, str] = msgspec.field(default_factory=dict)
    """column → why it is no feature."""


class CardMetric(Record, frozen=True, kw_only=True):
    """One metric on the held-out rows."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    """95 % interval; None where the held-out predictions were not kept."""
    lower_is_better: bool = False
    baseline: float | None = None
    training: float | None = None
    primary: bool = False


class CardSlice(Record, frozen=True, kw_only=True):
    """A part of the held-out rows that is served worse than the rest."""

    where: str
    rows: int
    ratio: float
    """Of its loss to that of all rows."""


class CardFairness(Record, frozen=True, kw_only=True):
    """How groups are treated, as last examined."""

    by: str
    on: str
    at: Millis
    actor: str
    status: str
    results: tuple[CheckResult, ...]


class CardMoves(Record, frozen=True, kw_only=True):
    """A move of an alias that the version had a part in, and whether a gate was overridden for it."""

    move: AliasMove
    overridden: tuple[str, ...] = ()
    """Gates that failed and were overridden, with the reason in `move.reason`."""


class Card(Record, frozen=True, kw_only=True):
    """Everything that is known of a version."""

    format: int = FORMAT
    model: str
    version: str
    made_at: Millis
    context: str
    note: str = ""
    model_note: str = ""
    aliases: tuple[str, ...] = ()
    registered_at: Millis = 0
    registered_by: str = ""
    owners: str = ""
    uses: str = ""
    limits: str = ""
    tags: dict[str, str] = msgspec.field(default_factory=dict)
    data: tuple[CardData, ...] = ()
    split: CardSplit | None = None
    training: CardTraining = CardTraining()
    metrics: tuple[CardMetric, ...] = ()
    intervals: str = ""
    """How the intervals were made."""
    slices: tuple[CardSlice, ...] = ()
    sliced: bool = False
    """Slices were looked for; else that there are none says nothing."""
    importance: dict[str, float] = msgspec.field(default_factory=dict)
    """column → fall of the primary metric when its values are shuffled, the largest first."""
    fairness: CardFairness | None = None
    checks: tuple[CheckResult, ...] = ()
    """Of the training data."""
    audit: tuple[CheckResult, ...] = ()
    """Of the training."""
    speed: tuple[SpeedOf, ...] = ()
    """Its own, then that of who holds the alias."""
    replay: Replay | None = None
    """What the last replay of logged requests found; None where there was none of this very file. It holds no row of
    a caller."""
    replayed_at: Millis = 0
    signature: Signature = Signature()
    file: ModelFile = ModelFile()
    onnx: str = ""
    """What is known of its ONNX form."""
    gates_alias: str = ""
    gates: tuple[GateResult, ...] = ()
    history: tuple[CardMoves, ...] = ()
    approvals: tuple[str, ...] = ()
    """Who agreed to what it was promoted by, besides who asked."""
    requests: tuple[Consent, ...] = ()
    """Promotions of it that others were asked about, the latest first."""
    unknown: tuple[str, ...] = ()
    """What is not known, and why."""

"""Carry out the audit of a fitted model. Only the worker comes here."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from backends.entities import CheckResult, Column, GateStatus
from console.training.audit.leakage import single_feature_scores
from console.training.audit.read import WORST, Audit, Speed
from console.training.audit.rules import TESTS, AuditRules
from console.training.audit.slices import worst_slices
from console.training.audit.speed import time_answers
from console.training.recipe import LOWER_IS_BETTER, Recipe

if TYPE_CHECKING:
    from console.training.frame import Rows

SLICED_ROWS: Final = 200_000
PASS, WARN, FAIL = GateStatus.PASS, GateStatus.WARN, GateStatus.FAIL


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the training knows when its model is fitted."""

    recipe: Recipe
    rows: Rows
    train_rows: Any
    test_rows: Any
    """Row positions, shape (n,)."""
    scores: Any
    """Of the test rows, (n,) or (n, classes)."""
    classes: list[Any]
    positive: Any
    kind: str
    test: dict[str, float]
    train: dict[str, float]
    baseline: dict[str, float]
    folds: list[float]
    """The primary metric of each fold."""
    answer: Callable[[Any], Any]
    """Scores of a frame of features."""
    model_bytes: int
    refit: Callable[[int], float]
    """The primary metric on the test rows, fitted anew with this seed."""
    speed: Speed | None = None
    """Measured when the audit begins, where it is asked for."""


def audit_model(evidence: Evidence) -> Audit:
    """Every test that the recipe does not skip and that this kind of model can stand."""
    rules = evidence.recipe.audit
    if "latency" not in rules.skip:
        evidence = msgspec.structs.replace(evidence, speed=_timed(evidence))
    results = []
    for name in TESTS:
        if name in rules.skip:
            continue
        for result in _TESTS[name](evidence, rules):
            fails = result.status is WARN and name in rules.fail
            results.append(msgspec.structs.replace(result, kind=name, status=FAIL if fails else result.status))
    results.sort(key=lambda each: WORST[each.status])
    return Audit(results=tuple(results), primary=evidence.recipe.primary(), speed=evidence.speed)


def _result(name: str, good: bool, value: str, rule: str, detail: str = "", **more: Any) -> CheckResult:
    return CheckResult(
        check=name, kind=name, status=PASS if good else WARN, value=value, rule=rule, detail=detail, **more
    )


def _gain(evidence: Evidence, value: float) -> float:
    """How much better than the baseline, in units of the primary metric."""
    primary = evidence.recipe.primary()
    base = evidence.baseline[primary]
    return base - value if primary in LOWER_IS_BETTER else value - base


def _baseline(evidence: Evidence, _rules: AuditRules) -> list[CheckResult]:
    primary = evidence.recipe.primary()
    mine, base = evidence.test[primary], evidence.baseline[primary]
    rule = TESTS["baseline"]
    return [_result("baseline", _gain(evidence, mine) > 0, f"{primary} {mine:.4g} against {base:.4g}", rule)]


def _overfit(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    primary = evidence.recipe.primary()
    fitted, held = evidence.train.get(primary), evidence.test[primary]
    if fitted is None:
        return []
    learned, kept = _gain(evidence, fitted), _gain(evidence, held)
    lost = (learned - kept) / learned if learned > 0 else 0.0
    value = f"{max(lost, 0.0):.0%} of the gain is lost ({primary} {fitted:.4g} in training, {held:.4g} held out)"
    return [_result("overfit", lost <= rules.overfit, value, f"at most {rules.overfit:.0%}")]


def _leakage(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    names = evidence.rows.features.names
    frame = evidence.rows.frame[names].iloc[evidence.train_rows]
    recipe = evidence.recipe
    found = single_feature_scores(
        frame, evidence.rows.target[evidence.train_rows], task=recipe.task, seed=recipe.seed
    )  # fmt: skip
    name, reached = next(iter(found.items()))
    telling = [f"{each} {value:.3f}" for each, value in found.items() if value > rules.leakage]
    return [
        _result(
            "leakage",
            reached <= rules.leakage,
            f"{name} alone reaches {reached:.3f} of 1",
            f"at most {rules.leakage:g}",
            f"is it known before the answer is? {', '.join(telling[:5])}" if telling else "",
            columns=(name,),
        )
    ]


def _spread(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    if len(evidence.folds) < 2:
        return []
    gain = abs(float(np.mean([_gain(evidence, value) for value in evidence.folds])))
    sd = float(np.std(evidence.folds, ddof=1))
    share = sd / gain if gain > 0 else math.inf
    value = f"{share:.1%} of the gain ({evidence.recipe.primary()} ± {sd:.3g} over {len(evidence.folds)} folds)"
    return [_result("spread", share <= rules.spread, value, f"at most {rules.spread:.0%}")]


def _seeds(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    if not rules.seeds:
        return []
    primary = evidence.recipe.primary()
    values = [evidence.test[primary], *(evidence.refit(evidence.recipe.seed + at) for at in range(1, rules.seeds + 1))]
    sd, gain = float(np.std(values, ddof=1)), abs(_gain(evidence, float(np.mean(values))))
    share = sd / gain if gain > 0 else math.inf
    value = f"{share:.1%} of the gain ({primary} {min(values):.4g} to {max(values):.4g} over {len(values)} seeds)"
    return [_result("seeds", share <= rules.seed_spread, value, f"at most {rules.seed_spread:.0%}")]


def _calibration(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    target = evidence.rows.target[evidence.test_rows]
    rule = f"at most {rules.calibration:g}"
    if evidence.recipe.task == "regression":
        spread = float(np.std(target)) or 1.0
        off = float(np.mean(evidence.scores - target)) / spread
        return [_result("calibration", abs(off) <= rules.calibration, f"{off:+.3f} standard deviations off", rule)]
    if evidence.kind != "probability":
        return []
    if evidence.scores.ndim == 1:
        confidence, right = evidence.scores, target == evidence.positive
    else:
        confidence = evidence.scores.max(axis=1)
        right = np.asarray(evidence.classes)[evidence.scores.argmax(axis=1)] == target
    error = calibration_error(confidence, right)
    return [_result("calibration", error <= rules.calibration, f"expected calibration error {error:.3f}", rule)]


def calibration_error(confidence: Any, right: Any, bins: int = 10) -> float:
    """Expected calibration error over bins of equal width. confidence: (n,), 0 to 1; right: (n,), bool.

    Source: Naeini, Cooper & Hauskrecht, "Obtaining well calibrated probabilities using Bayesian binning", AAAI 2015.
    """
    at = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(at, weights=confidence, minlength=bins) - np.bincount(at, weights=right, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))


def row_losses(scores: Any, target: Any, classes: list[Any], positive: Any, kind: str, task: str) -> Any:
    """The loss of each row, shape (n,): squared error (regression, and of probabilities: Brier), else wrong or not."""
    if task == "regression":
        return (scores - target) ** 2
    if scores.ndim == 1:
        truth = (target == positive).astype(float)
        return (scores - truth) ** 2 if kind == "probability" else ((scores > 0) != (truth > 0)).astype(float)
    if kind == "probability":
        truth = np.asarray(target)[:, None] == np.asarray(classes)[None, :]
        return ((scores - truth) ** 2).sum(axis=1)
    return (np.asarray(classes)[scores.argmax(axis=1)] != target).astype(float)


def _slices(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    at = np.arange(len(evidence.test_rows))
    if len(at) > SLICED_ROWS:
        at = np.sort(np.random.default_rng(evidence.recipe.seed).choice(at, SLICED_ROWS, replace=False))
    rows = evidence.test_rows[at]
    frame = evidence.rows.frame[evidence.rows.features.names].iloc[rows].reset_index(drop=True)
    loss = row_losses(
        evidence.scores[at], evidence.rows.target[rows], evidence.classes, evidence.positive, evidence.kind,
        evidence.recipe.task,
    )  # fmt: skip
    found = worst_slices(frame, loss, least=rules.slice_rows)
    rule = f"no slice of {rules.slice_rows} rows has over {rules.slices:g} times the loss"
    if not found:
        return [_result("slices", True, "no slice is surely worse than the rest", rule)]
    worst = found[0]
    shown = tuple(f"{each.where}: {each.ratio:.2f} times the loss, {each.rows} rows" for each in found)
    value = f"{worst.ratio:.2f} times the loss where {worst.where}"
    return [_result("slices", worst.ratio <= rules.slices, value, rule, examples=shown, rows=len(at))]


def _fairness(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    if not rules.protected or evidence.recipe.task != "classification" or evidence.scores.ndim != 1:
        return []
    if evidence.kind != "probability":
        return []
    import pyarrow as pa

    from backends.entities import ColumnType
    from console.data.bias.groups import Asked, Reading, count_groups
    from console.data.bias.measures import measure_bias
    from console.data.bias.report import Limits, bias_report
    from console.data.inference import column_type

    frame = evidence.rows.frame.iloc[evidence.test_rows]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    target, score = "held-out target", "held-out score"
    table = table.append_column(target, pa.array(evidence.rows.target[evidence.test_rows] == evidence.positive))
    table = table.append_column(score, pa.array(evidence.scores))
    columns = [Column(name=field.name, type=column_type(field.type)) for field in table.schema]
    columns = [c for c in columns if c.type is not ColumnType.OTHER]
    asked = Asked(by=rules.protected, label=target, score=score)
    bias = measure_bias(count_groups(Reading(asked, columns), table.to_batches()), least=rules.least)
    limits = Limits(difference=rules.difference, ratio=rules.ratio)
    report = bias_report(bias, asked, subject="run", digest="", on="", at=0, actor="", limits=limits)
    return [
        msgspec.structs.replace(
            each, check=f"fairness: {each.check}", status=WARN if each.status is FAIL else each.status
        )
        for each in report.results
    ]


def _timed(evidence: Evidence) -> Speed:
    frame = evidence.rows.frame[evidence.rows.features.names].iloc[evidence.test_rows]
    return time_answers(evidence.answer, frame)


def _latency(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    speed = evidence.speed
    if speed is None:
        return []
    return [
        _result(
            "latency",
            speed.one_p95 <= rules.latency_ms and speed.batch_p50 <= rules.batch_ms,
            f"{speed.one_p95:.1f} ms a row, {speed.batch_p50:.0f} ms for {speed.batch_rows} rows",
            f"at most {rules.latency_ms:g} and {rules.batch_ms:g} ms",
        )
    ]


def _size(evidence: Evidence, rules: AuditRules) -> list[CheckResult]:
    size = evidence.model_bytes / 1e6
    return [_result("size", size <= rules.size_mb, f"{size:.2f} MB", f"at most {rules.size_mb:g} MB")]


_TESTS: Final[dict[str, Callable[[Evidence, AuditRules], list[CheckResult]]]] = {
    "baseline": _baseline,
    "overfit": _overfit,
    "leakage": _leakage,
    "spread": _spread,
    "seeds": _seeds,
    "calibration": _calibration,
    "slices": _slices,
    "fairness": _fairness,
    "latency": _latency,
    "size": _size,
}


def write_audit(audit: Audit, path: Path) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(audit)))

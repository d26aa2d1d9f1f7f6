"""What is said of a sweep in a line: its state, its best trial, what is left of its budget. Pure."""

from __future__ import annotations

import time

from backends.entities import Run, RunStatus
from console.training.sweep.begin import SweepState
from console.training.sweep.space import Dimension, Value
from console.training.sweep.trials import PAUSED, Trial, since_best
from console.training.toml_text import param_text
from console.wording import number, plural


def value_text(value: object) -> str:
    """A parameter's value with the digits that matter."""
    return number(value, 4) if isinstance(value, float) else str(value)


def params_text(trial: Trial) -> str:
    return ", ".join(f"{name} {value_text(value)}" for name, value in trial.params.items())


def state_word(run: Run) -> str:
    """The status of a sweep's run; `paused` while it begins nothing."""
    return "paused" if PAUSED in run.tags and not run.status.ended else run.status.value


def state_text(state: SweepState) -> str:
    """`running 12 of 50`, `paused 12 of 50`, `finished: 50 trials were tried`."""
    run, word = state.run, state_word(state.run)
    if not run.status.ended:
        return f"{word} {sum(trial.status.ended for trial in state.trials)} of {state.plan.trials}"
    why = run.progress.stage if run.status is RunStatus.FINISHED and run.progress is not None else run.reason
    return f"{word}: {why}" if why else word


def best_text(state: SweepState) -> str:
    """`best rmse 0.6132 in trial 17: learning_rate 0.05`."""
    best = state.best
    if best is None:
        return f"no trial has a {state.primary} yet"
    return f"best {state.primary} {number(best.value, 5)} in trial {best.number}: {params_text(best)}"


def budget_text(state: SweepState, now_ms: int | None = None) -> str:
    """What is left, of a sweep that goes on: `38 trials left, 4 min, 6 more without anything better`."""
    plan, run = state.plan, state.run
    parts = [f"{plural(max(0, plan.trials - len(state.trials)), 'trial')} left"]
    if plan.max_minutes and run.started_at:
        spent = ((time.time_ns() // 1_000_000 if now_ms is None else now_ms) - run.started_at) / 60_000
        parts.append(f"{max(0.0, plan.max_minutes - spent):.0f} of {plan.max_minutes:g} min")
    if plan.patience:
        stale = since_best(list(state.trials), state.primary, plan)
        parts.append(f"{max(0, plan.patience - stale)} more without anything better")
    return ", ".join(parts)


def counts_text(state: SweepState) -> str:
    """`3 pruned, 1 failed`: what ended without a result."""
    pruned = sum(trial.pruned for trial in state.trials)
    failed = sum(trial.status in (RunStatus.FAILED, RunStatus.LOST) for trial in state.trials)
    return ", ".join(f"{count} {word}" for count, word in ((pruned, "pruned"), (failed, "failed")) if count)


def dimension_text(each: Dimension) -> str:
    """`0.01 to 0.5, log` or `gini | entropy`: as `read_dimension` reads it."""
    if each.choices:
        return " | ".join(param_text(value) for value in each.choices)
    low, high = 0 if each.low is None else each.low, 0 if each.high is None else each.high
    words = f"{_plain(low)} to {_plain(high)}"
    if each.step is not None:
        words += f" by {_plain(each.step)}"
    return words + (", log" if each.log else "")


def _plain(value: float) -> str:
    return repr(value)


def read_dimension(text: str, each: Dimension) -> dict[str, object]:
    """Keys of `[sweep.space.NAME]` that differ from `each`, from a text such as `dimension_text` gives.

    ValueError says what was wanted.
    """
    words = text.strip()
    if each.choices:
        kinds = {param_text(value): value for value in each.choices}
        found = [kinds.get(part.strip(), _typed(part.strip())) for part in words.split("|") if part.strip()]
        if not found:
            raise ValueError("wanted choices, as a | b")
        return {} if tuple(found) == each.choices else {"choices": found}
    words, comma, log = words.partition(",")
    if comma and log.strip() != "log":
        raise ValueError(f"{text!r}: after the comma only log is known")
    span, _, step = words.partition(" by ")
    low, to, high = span.partition(" to ")
    if not to:
        raise ValueError(f"{text!r}: wanted LOW to HIGH, as {dimension_text(each)}")
    wanted: dict[str, object] = {"low": _number(low), "high": _number(high), "log": bool(comma)}
    if step or each.step is not None:
        wanted["step"] = _number(step) if step else None
    if wanted.get("step", 1) is None:
        raise ValueError(f"{text!r}: the step is gone; a recipe without one is wanted for that")
    return {key: value for key, value in wanted.items() if value != getattr(each, key)}


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text.strip()!r} is no number") from None


def _typed(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    try:
        return _number(text)
    except ValueError:
        return text

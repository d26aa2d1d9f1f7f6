"""What a report keeps of the rows that were replayed: the few that changed most, and why others have no answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from console.serving.replay.answers import Answered, Meaning
from console.serving.replay.compare import Difference
from console.serving.replay.figures import SHOWN, Changed, Reason
from console.serving.replay.requests import Request

WIDE: Final = 200
"""Characters of a value or a reason that are kept."""
REASONS: Final = 20


def reasons_of(pairs: Sequence[tuple[str, Request]]) -> tuple[Reason, ...]:
    counts = Counter(why[:WIDE] for why, _ in pairs)
    first: dict[str, str] = {}
    for why, request in pairs:
        first.setdefault(why[:WIDE], request.ident[:WIDE])
    found = [Reason(why=why, rows=rows, ident=first[why]) for why, rows in counts.most_common(REASONS - 1)]
    rest = len(pairs) - sum(each.rows for each in found)
    return (*found, Reason(why="for other reasons", rows=rest)) if rest else tuple(found)


def changed_most(
    difference: Difference,
    pairs: Sequence[tuple[Answered, Answered]],
    rows: Sequence[Request],
    redacted: Sequence[frozenset[str]],
    classes: Sequence[str],
) -> tuple[Changed, ...]:
    """Those whose score moved most; without scores those whose answer is another one, the newest first."""
    differing = [at for at in range(len(pairs)) if difference.changed[at] or difference.moved[at]]
    differing.sort(key=lambda at: (-(difference.moved[at] or 0.0), not difference.changed[at], -rows[at].at))
    out = []
    for at in differing[:SHOWN]:
        (before, after), row = pairs[at], rows[at]
        out.append(
            Changed(
                ident=row.ident[:WIDE],
                at=row.at,
                deployment=row.deployment,
                before=_shown(before.value),
                after=_shown(after.value),
                before_score=_one(before.score, classes, before.value),
                after_score=_one(after.score, classes, before.value),
                moved=difference.moved[at],
                answer_changed=difference.changed[at],
                inputs={name[:WIDE]: _shown(value) for name, value in row.columns.items()},
                redacted=tuple(sorted(redacted[at])),
            )
        )
    return tuple(out)


def _one(score: float | tuple[float, ...] | None, classes: Sequence[str], said: object) -> float | None:
    if not isinstance(score, tuple):
        return score
    return score[classes.index(str(said))] if len(score) == len(classes) and str(said) in classes else None


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)[:WIDE]


def score_words(meaning: Meaning, target: str, difference: Difference) -> str:
    if difference.mean is None:
        return (
            ""
            if difference.share is None
            else "the two give no scores that mean the same, so only answers are compared"
        )
    if not meaning.classes or meaning.kind == "prediction":
        return f"prediction of {target}" if target else "prediction"
    if len(meaning.classes) == 2:
        return f"{'probability' if meaning.kind == 'probability' else 'margin'} of {target} = {meaning.positive}"
    return f"{'probabilities' if meaning.kind == 'probability' else 'margins'} of {target} (total variation)"

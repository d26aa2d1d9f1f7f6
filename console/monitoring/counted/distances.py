"""Distances and tests between two windows counted in the same cells. Plain Python over sequences of counts.

All take raw counts of shape (cells,), reference first. Every test here treats both samples as samples: taking the
reference's counts as the truth raises false alarms in 36 to 81 % of quiet windows instead of 5 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise


def psi(reference: Sequence[int], current: Sequence[int]) -> float:
    """Population stability index, in nats.

    Each cell of both sides takes half a row of the smaller sample more (Jeffreys), so that one new value cannot make
    it infinite and a cell that is empty on both sides adds nothing. Without drift PSI / (1/n + 1/N) is about chi-
    square with cells - 1 degrees of freedom.
    Source: Yurdakul & Naranjo, "Statistical properties of the population stability index", J. Risk Model Validation
    14 (2020).
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 0.0
    half = 0.5 / min(n, m)
    whole = 1 + half * len(reference)
    total = 0.0
    for old, new in zip(reference, current, strict=True):
        p = (old / n + half) / whole
        q = (new / m + half) / whole
        total += (q - p) * math.log(q / p)
    return total


def ks(reference: Sequence[int], current: Sequence[int]) -> float:
    """Kolmogorov-Smirnov distance at the cell edges, 0 to 1; below the exact one by at most the largest share within
    a cell.

    The cells must be in the order of their values, missing left out.
    Source: Smirnov, Ann. Math. Stat. 19 (1948); binned: Conover, "Practical Nonparametric Statistics", ch. 6.
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 0.0
    worst = 0.0
    p = q = 0
    for old, new in zip(reference, current, strict=True):
        p += old
        q += new
        worst = max(worst, abs(p / n - q / m))
    return worst


def ks_p_value(distance: float, n: int, m: int) -> float:
    """P-value of a two-sample KS distance by the limiting distribution; conservative for binned data.

    Source: Kolmogorov's series, as `scipy.stats.kstwobign.sf`.
    """
    if not n or not m:
        return 1.0
    x = distance * math.sqrt(n * m / (n + m))
    if x < 0.2:
        return 1.0
    total = 2 * sum((1 if k % 2 else -1) * math.exp(-2 * k * k * x * x) for k in range(1, 101))
    return min(1.0, max(0.0, total))


def jensen_shannon(reference: Sequence[int], current: Sequence[int]) -> float:
    """Jensen-Shannon distance (the root of the divergence, natural logarithm), 0 to 0.833.

    Source: Endres & Schindelin, IEEE Trans. Inf. Theory 49 (2003); as `scipy.spatial.distance.jensenshannon`.
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 0.0
    total = 0.0
    for old, new in zip(reference, current, strict=True):
        p, q = old / n, new / m
        middle = (p + q) / 2
        if p:
            total += p * math.log(p / middle)
        if q:
            total += q * math.log(q / middle)
    return math.sqrt(max(0.0, total / 2))


def chi_square(reference: Sequence[int], current: Sequence[int]) -> tuple[float, int, float]:
    """Pearson's two-sample chi-square: (statistic, degrees of freedom, p-value). Cells that are empty on both sides
    are left out.

    Source: Pearson (1911), as `scipy.stats.chi2_contingency(…, correction=False)` of the 2 × cells table.
    """
    pairs = [(old, new) for old, new in zip(reference, current, strict=True) if old or new]
    n, m = sum(old for old, _ in pairs), sum(new for _, new in pairs)
    if not n or not m or len(pairs) < 2:
        return 0.0, 0, 1.0
    statistic = 0.0
    for old, new in pairs:
        both = old + new
        left, right = both * n / (n + m), both * m / (n + m)
        statistic += (old - left) ** 2 / left + (new - right) ** 2 / right
    freedom = len(pairs) - 1
    return statistic, freedom, chi_square_tail(statistic, freedom)


def g_test(reference: Sequence[int], current: Sequence[int]) -> tuple[float, int, float]:
    """The two-sample likelihood-ratio test: (statistic, degrees of freedom, p-value). Cells that are empty on both
    sides are left out.

    Source: Wilks, Ann. Math. Stat. 9 (1938); as `scipy.stats.chi2_contingency(…, correction=False,
    lambda_="log-likelihood")`.
    """
    pairs = [(old, new) for old, new in zip(reference, current, strict=True) if old or new]
    n, m = sum(old for old, _ in pairs), sum(new for _, new in pairs)
    if not n or not m or len(pairs) < 2:
        return 0.0, 0, 1.0
    total = 0.0
    for old, new in pairs:
        both = (old + new) / (n + m)
        total += (old * math.log(old / (both * n)) if old else 0.0) + (new * math.log(new / (both * m)) if new else 0.0)
    statistic, freedom = max(0.0, 2 * total), len(pairs) - 1
    return statistic, freedom, chi_square_tail(statistic, freedom)


EXPECTED = 5.0
"""Fewer expected rows in a cell, and the chi-square's own distribution is no longer that of its statistic (Cochran,
Biometrics 10, 1954)."""


def two_sample_p(reference: Sequence[int], current: Sequence[int]) -> float:
    """P-value of the two-sample chi-square, thin cells first put together.

    Which cells are thin is read from both samples' sum, on which the test conditions, so that choosing them costs
    nothing of its level.
    """
    n, m = sum(reference), sum(current)
    if not n or not m:
        return 1.0
    share = min(n, m) / (n + m)
    kept: list[tuple[int, int]] = []
    thin: list[tuple[int, int]] = []
    for pair in zip(reference, current, strict=True):
        (thin if sum(pair) * share < EXPECTED else kept).append(pair)
    rest = (sum(old for old, _ in thin), sum(new for _, new in thin))
    if sum(rest) * share < EXPECTED and kept:
        smallest = min(range(len(kept)), key=lambda spot: sum(kept[spot]))
        kept[smallest] = (kept[smallest][0] + rest[0], kept[smallest][1] + rest[1])
    elif sum(rest):
        kept.append(rest)
    return chi_square([old for old, _ in kept], [new for _, new in kept])[2]


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Each p-value corrected for all of them: the smallest false discovery rate at which it would be called.

    Source: Benjamini & Hochberg, J. R. Stat. Soc. B 57 (1995); as `scipy.stats.false_discovery_control`.
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    corrected = [1.0] * len(p_values)
    least, count = 1.0, len(p_values)
    for rank, spot in zip(range(count, 0, -1), order, strict=True):
        least = min(least, p_values[spot] * count / rank)
        corrected[spot] = least
    return corrected


def wasserstein(edges: Sequence[float], reference: Sequence[int], current: Sequence[int]) -> float:
    """Earth mover's distance between two samples counted in the same cells, in standard deviations of the reference.

    reference, current: shape (len(edges) + 1,): below, the cells, above. Rows are spread evenly within their cell, and
    what lies below or above counts as at the outer edge, so that one value, however far out, moves it by 1/n at most
    of the range. 0 where the reference has no width.
    Source: the area between the distribution functions, Vallender, Theory Probab. Appl. 18 (1974); as
    `scipy.stats.wasserstein_distance` of the rows, but for the cells' width.
    """
    n, m = sum(reference), sum(current)
    scale = deviation(edges, reference)
    if not n or not m or not scale:
        return 0.0
    gap = reference[0] / n - current[0] / m
    area = 0.0
    for (left, right), old, new in zip(pairwise(edges), reference[1:-1], current[1:-1], strict=True):
        after = gap + old / n - new / m
        width = right - left
        if gap * after >= 0:
            area += width * (abs(gap) + abs(after)) / 2
        else:  # the two functions cross within the cell: two triangles
            area += width * (gap * gap + after * after) / (2 * (abs(gap) + abs(after)))
        gap = after
    return area / scale


def deviation(edges: Sequence[float], counts: Sequence[int]) -> float:
    """Standard deviation of rows counted in cells, spread evenly within each. counts: below, the cells, above."""
    total = sum(counts)
    if not total:
        return 0.0
    spans = [(edges[0], edges[0]), *pairwise(edges), (edges[-1], edges[-1])]
    mean = sum(count * (left + right) / 2 for (left, right), count in zip(spans, counts, strict=True)) / total
    squares = sum(
        count * (((left + right) / 2 - mean) ** 2 + (right - left) ** 2 / 12)
        for (left, right), count in zip(spans, counts, strict=True)
    )
    return math.sqrt(squares / total)


def chi_square_tail(statistic: float, freedom: int) -> float:
    """P(chi-square with `freedom` degrees > statistic): the regularised upper incomplete gamma function Q(freedom/2,
    statistic/2).

    Source: series and Lentz's continued fraction, Press et al., "Numerical Recipes", 6.2; equals
    `scipy.stats.chi2.sf` to 1e-12.
    """
    if statistic <= 0 or freedom < 1:
        return 1.0
    a, x = freedom / 2, statistic / 2
    front = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        step = a
        while abs(term) > abs(total) * 1e-16:
            step += 1
            term *= x / step
            total += term
        return min(1.0, max(0.0, 1 - front * total))
    tiny = 1e-300
    b = x + 1 - a
    c = 1 / tiny
    d = 1 / b
    fraction = d
    for i in range(1, 10_000):
        step = -i * (i - a)
        b += 2
        d = 1 / (step * d + b or tiny)
        c = b + step / c or tiny
        change = d * c
        fraction *= change
        if abs(change - 1) < 1e-15:
            break
    return min(1.0, max(0.0, front * fraction))


def binomial_tail(hits: int, n: int, share: float) -> float:
    """P(at least `hits` of `n`) when each comes with probability `share`. As `scipy.stats.binom.sf(hits - 1, n,
    share)`."""
    if hits <= 0:
        return 1.0
    if hits > n or share <= 0:
        return 0.0
    if share >= 1:
        return 1.0
    if hits <= n * share:
        # Only small tails are ever acted on: at or under the mean it is a good half.
        return 1.0
    log_term = (
        math.lgamma(n + 1)
        - math.lgamma(hits + 1)
        - math.lgamma(n - hits + 1)
        + hits * math.log(share)
        + (n - hits) * math.log1p(-share)
    )
    return min(1.0, _falling_sum(log_term, hits, n, lambda k: (n - k) / (k + 1) * share / (1 - share)))


def fisher_more(hits: int, n: int, reference_hits: int, reference_n: int) -> float:
    """One-sided exact p-value that `hits` of `n` are more than `reference_hits` of `reference_n` by chance.

    Source: Fisher (1935); as `scipy.stats.fisher_exact(…, alternative="greater")`; 1 where the share did not rise.
    """
    if not n or not reference_n or hits * reference_n <= reference_hits * n:
        return 1.0
    total, drawn = n + reference_n, hits + reference_hits
    log_term = _log_choose(n, hits) + _log_choose(reference_n, reference_hits) - _log_choose(total, drawn)
    return min(
        1.0,
        _falling_sum(
            log_term,
            hits,
            min(n, drawn),
            lambda k: (n - k) / (k + 1) * (drawn - k) / (reference_n - drawn + k + 1),
        ),
    )


def _falling_sum(log_first: float, first: int, last: int, ratio: object) -> float:
    """Sum of terms from `first` to `last`, each the one before times `ratio`, until they no longer matter."""
    term = math.exp(log_first)
    total = term
    for k in range(first, last):
        term *= ratio(k)  # type: ignore[operator]
        total += term
        if term < total * 1e-17:
            break
    return total


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)

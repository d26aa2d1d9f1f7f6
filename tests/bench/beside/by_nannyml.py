"""NannyML's univariate drift in one chunk: KS, Jensen-Shannon and Wasserstein; chi-square and Jensen-Shannon."""

from __future__ import annotations

import warnings

warnings.simplefilter("ignore")
from timed import now, since, told  # noqa: E402

began = now()
import nannyml  # noqa: E402

imported = since(began)


def work(reference: object, current: object) -> object:
    names = list(reference.columns)  # type: ignore[attr-defined]
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=names,
        treat_as_categorical=[name for name in names if name.startswith("cat")],
        continuous_methods=["kolmogorov_smirnov", "jensen_shannon", "wasserstein"],
        categorical_methods=["chi2", "jensen_shannon"],
        chunk_number=1,
    )
    return calculator.fit(reference).calculate(current).to_df()


if __name__ == "__main__":
    told(imported, work)

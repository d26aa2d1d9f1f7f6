"""Properties are tried with the same examples in each run of the suite; with MLOPS_TESTS_AT_RANDOM=1 with others."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "beside others, the same each time",
    settings.get_profile("beside others"),
    derandomize=not os.environ.get("MLOPS_TESTS_AT_RANDOM"),
    suppress_health_check=[HealthCheck.too_slow],  # it measures the machine
)
settings.load_profile("beside others, the same each time")

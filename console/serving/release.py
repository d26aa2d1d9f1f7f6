"""Which release of the program serves: as installed, or in a container, where modules are copied, as written there."""

from __future__ import annotations

import os
from typing import Final

VARIABLE: Final = "MLOPS_CONSOLE_RELEASE"


def release() -> str:
    """`0.4.0`, or `unknown`."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("mlops-console")
    except PackageNotFoundError:
        return os.environ.get(VARIABLE, "unknown")

"""Names as MLflow's filters want them spelled."""

from __future__ import annotations

from backends.contract import Refused


def quoted(name: str) -> str:
    if "'" in name and '"' in name:
        raise Refused(f"the name {name[:80]} holds both kinds of quotes, which MLflow's filters cannot say")
    return f'"{name}"' if "'" in name else f"'{name}'"

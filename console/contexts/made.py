"""A context out of words: an address, and pairs such as `tenant=ml` for each table that config.toml knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from backends.contract import Invalid
from console.capacity import CapacityTable
from console.config import Context, nearest
from console.retention.policy import RetentionPolicy
from console.services.table import MetricsTable

T = TypeVar("T")

TABLES: Final[Mapping[str, type[msgspec.Struct]]] = {
    "metrics": MetricsTable, "retention": RetentionPolicy, "capacity": CapacityTable,
}  # fmt: skip
_MANAGED: Final = ("http://", "https://", "arn:", "databricks://", "databricks-uc://", "azureml://")


def made_context(name: str, url: str, **said: Any) -> Context:
    """`said` is as the fields of `Context`, with each of `TABLES` as a mapping of dotted names (`services.fraud.kind`)
    to texts. Invalid, by the name, for a key that nobody knows and a value of another kind."""
    registry = as_registry(url)
    home = said.pop("workspace", "")
    workspace = home if registry else url.removeprefix("local:")
    tables: dict[str, Any] = {}
    for key, kind in TABLES.items():
        pairs: Mapping[str, str] = said.pop(key, None) or {}
        if pairs:
            tables[key] = _table(key, _nested(pairs), kind)
    if isinstance(tables.get("metrics"), MetricsTable) and tables["metrics"] == MetricsTable(url=tables["metrics"].url):
        tables["metrics"] = tables["metrics"].url
    return Context(
        name=name,
        registry=registry,
        workspace=str(Path(workspace).expanduser().absolute()) if workspace else "",
        **said,
        **tables,
    )


def as_registry(url: str) -> str:
    """An address that MLflow's clients know is taken for an MLflow server's; what is no address, for a workspace."""
    if url in ("databricks", "databricks-uc"):
        return f"mlflow+{url}://"
    if url.startswith(_MANAGED):
        return f"mlflow+{url}"
    if url.startswith("mlflow+arn:"):
        return url
    return url if "://" in url else ""


def _nested(pairs: Mapping[str, str]) -> dict[str, Any]:
    """`{"services.fraud.kind": "http"}` → `{"services": {"fraud": {"kind": "http"}}}`."""
    found: dict[str, Any] = {}
    for dotted, value in pairs.items():
        *above, last = dotted.split(".")
        at = found
        for part in above:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise Invalid(f"{dotted}: {part} has a value already, and cannot hold others; give one of them", dotted)
        at[last] = value
    return found


def _table(key: str, raw: dict[str, Any], kind: type[T]) -> T:
    valid = kind.__struct_fields__  # type: ignore[attr-defined]
    for word in raw:
        if word not in valid:
            raise Invalid(f"{key} knows no {word[:60]!r}{nearest(word, valid)}; it has {', '.join(valid)}", key)
    try:
        return msgspec.convert(raw, kind, strict=False)  # texts that are numbers become some
    except msgspec.ValidationError as error:
        sentence, _, place = str(error).partition(" - at `$")
        raise Invalid(f"{key}{place.rstrip('`')}: {sentence}", key) from error


def pairs_of(words: Iterable[str], *, what: str) -> dict[str, str]:
    """`("a=1", "b=2")` → `{"a": "1", "b": "2"}`; Invalid for what is no pair."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.strip():
            raise Invalid(f"{what} {word[:60]}: wanted NAME=VALUE", what)
        found[key.strip()] = value.strip()
    return found

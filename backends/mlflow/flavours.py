"""Whose MLflow it is, as data: where its routes begin, how it wants to be told who asks, what it lacks."""

from __future__ import annotations

from typing import Final

import msgspec

from backends.contract import Invalid, Unsupported


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server that speaks the protocol."""

    name: str
    registry: str = ""
    """Put between the API's base and the registry's routes."""
    trusted_sort: bool = False
    """Its store sorts by metrics in reasonable time, however many runs there are."""
    lacks: dict[str, str] = {}
    """What it has not → why, as a sentence that a pane shows."""


_NO_PROXY: Final = "this service gives files by its own storage, not over the MLflow protocol"

FLAVOURS: Final = {
    each.name: each
    for each in (
        Flavour(name="oss"),
        Flavour(name="dagshub"),
        Flavour(name="databricks", trusted_sort=True, lacks={"artifacts": _NO_PROXY}),
        Flavour(
            name="unity-catalog",
            registry="unity-catalog/",
            trusted_sort=True,
            lacks={"artifacts": _NO_PROXY, "stages": "Unity Catalog has aliases only"},
        ),
        Flavour(
            name="azureml",
            trusted_sort=True,
            lacks={"artifacts": _NO_PROXY, "rename": "Azure ML cannot rename or delete a registered model"},
        ),
    )
}


def flavour(name: str) -> Flavour:
    """By its name; Unsupported with the way out for those that we know and cannot speak to yet."""
    if name == "sagemaker":
        raise Unsupported(
            "flavor sagemaker: its requests are signed by AWS, which this release does not do; run a signing proxy on "
            "loopback and name that as flavor oss"
        )
    found = FLAVOURS.get(name or "oss")
    if found is None:
        raise Invalid(f"there is no flavor {name}; there are {', '.join(sorted(FLAVOURS))}", "options.flavor")
    return found

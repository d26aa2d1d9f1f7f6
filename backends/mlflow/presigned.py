"""Files at addresses that Databricks signs one by one: `artifacts/credentials-for-read`, and for write.

The address is the cloud's own storage; our token does not go there. Source: MLflow's `databricks_artifacts.proto` and
`databricks_artifact_repo.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from backends.contract import Invalid, NotFound, Unreachable, Unsupported
from backends.mlflow import storage

if TYPE_CHECKING:
    from backends.mlflow.transport import Transport

_LARGEST_PUT: Final = 5 * 1000**3
"""Bytes that the clouds take in one piece."""


def fetch(transport: Transport, owner: str, path: str, to: Path, most: int) -> int:
    """Into a file, whole or not at all; the number of bytes."""
    address, headers, _ = _credential(transport, owner, path, "read")
    return storage.download(address, headers, to, most, where=transport.flavour.title)


def send(transport: Transport, owner: str, path: str, file: Path) -> None:
    """A whole file, in one piece."""
    address, headers, kind = _credential(transport, owner, path, "write")
    if kind == "AZURE_ADLS_GEN2_SAS_URI" or file.stat().st_size > _LARGEST_PUT:
        raise Unsupported(
            "this file goes to the storage in pieces only (data lake storage, or over 5 GB), which mlflow does; log it "
            "by mlflow.log_artifact"
        )
    if kind == "AZURE_SAS_URI":
        headers["x-ms-blob-type"] = "BlockBlob"
    storage.upload(address, headers, file, where=transport.flavour.title)


def _credential(transport: Transport, owner: str, path: str, what: str) -> tuple[str, dict[str, str], str]:
    """(address, headers to send with it, whose storage)."""
    body: dict[str, Any]
    if owner.startswith("m-"):
        route = f"logged-models/{owner}/artifacts/credentials-for-{'download' if what == 'read' else 'upload'}"
        body = {"paths": [path]}
    else:
        route, body = f"artifacts/credentials-for-{what}", {"run_id": owner, "path": [path]}
    # An address is a secret of some minutes: it is not kept for when the server is away.
    found = transport.search(route, body, keep=False)
    infos = [
        each.get("credential_info", each) for each in found.get("credentials") or found.get("credential_infos") or ()
    ]
    if not infos:
        raise NotFound(f"{owner} has no artifact {path[:200]}.")
    address = str(infos[0].get("signed_uri", ""))
    # Plain http only where the server itself is: a test on this machine.
    if not address.startswith("https://") and not (
        address.startswith("http://") and transport.root.startswith("http://")
    ):
        raise Unreachable(f"{transport.where} gives an address of a file that is not https; it was not asked")
    headers = {str(each["name"]): str(each["value"]) for each in infos[0].get("headers", ())}
    if any(letter in text for pair in headers.items() for text in pair for letter in "\r\n"):
        raise Invalid(f"{transport.where} gives headers with line breaks in them; the file was not asked for")
    return address, headers, str(infos[0].get("type", ""))

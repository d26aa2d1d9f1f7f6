"""Files in an S3 bucket, read and written with the credentials that sign a server's other requests."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from backends.contract import BackendError, Invalid, NotFound, Unsupported
from backends.mlflow import storage
from backends.mlflow.aws import Signer

if TYPE_CHECKING:
    import httpx

_SCHEME: Final = "s3://"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


class Bucket:
    """What lies under a run's `s3://bucket/prefix`."""

    def __init__(self, signer: Signer) -> None:
        self._signer = Signer(signer.region, "s3", signer.profile)

    def fetch(self, root: str, path: str, to: Path, most: int) -> int:
        """Into a file, whole or not at all; the number of bytes."""
        address = self._address(root, path)
        return storage.download(
            address, {}, to, most, where="the bucket", auth=self._signer.signing(None), refusal=self._refusal
        )

    def send(self, root: str, path: str, file: Path) -> None:
        with file.open("rb") as content:
            storage.upload(
                self._address(root, path), {}, file,
                where="the bucket", auth=self._signer.signing(content), refusal=self._refusal,
            )  # fmt: skip

    def remove(self, root: str, path: str) -> None:
        storage.delete(
            self._address(root, path), where="the bucket", auth=self._signer.signing(None), refusal=self._refusal
        )

    def _address(self, root: str, path: str) -> str:
        if not root.startswith(_SCHEME):
            scheme = root.partition(":")[0] or "another place"
            raise Unsupported(f"these files lie in {scheme}, and SageMaker keeps files in S3; fetch them from there")
        bucket, _, prefix = root.removeprefix(_SCHEME).partition("/")
        if not _BUCKET.fullmatch(bucket):
            raise Invalid(f"{root[:120]!r} names no bucket; see where the run's files were put")
        key = quote("/".join(part for part in (prefix.strip("/"), path) if part), safe="/-_.~")
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        if endpoint:
            return f"{endpoint.rstrip('/')}/{bucket}/{key}"
        if "." in bucket:  # no certificate names it as a host
            return f"https://s3.{self._signer.region}.amazonaws.com/{bucket}/{key}"
        return f"https://{bucket}.s3.{self._signer.region}.amazonaws.com/{key}"

    def _refusal(self, answer: httpx.Response, said: bytes) -> BackendError | None:
        text = said[:2_000].decode("utf-8", "replace")
        if answer.status_code == 301 or "PermanentRedirect" in text or "AuthorizationHeaderMalformed" in text:
            there: Any = answer.headers.get("x-amz-bucket-region", "another one")
            return Unsupported(
                f"the bucket of these files is in region {there}, and the server in {self._signer.region}; fetch them "
                "by aws s3 cp"
            )
        if answer.status_code == 404:
            return NotFound("there is no such file in the bucket")
        return self._signer.refusal(answer.status_code, answer.headers, said, "S3")

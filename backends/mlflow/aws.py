"""Who we are to AWS, as its own tools are told: environment, shared files, container, instance; and signing with it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from backends.contract import BackendError, Invalid, Unauthorized
from backends.login import printed_by
from backends.mlflow.sigv4 import Credentials, body_hash, signed
from backends.mlflow.trouble import Stale

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

SERVICES: Final = {"mlflow-tracking-server": "sagemaker-mlflow", "mlflow-app": "sagemaker"}
_ROUTED_BY: Final = {
    "mlflow-tracking-server": "x-mlflow-sm-tracking-server-arn",
    "mlflow-app": "x-sm-mlflow-app-arn",
}
_EARLY_S: Final = 120.0
"""Credentials that end within this time are fetched anew."""
_METADATA_S: Final = 1.0
_CONTAINER_HOSTS: Final = frozenset(
    {"localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23"}
)


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """What an ARN says of a SageMaker tracking server or MLflow app."""

    arn: str
    partition: str
    region: str
    kind: str

    @property
    def address(self) -> str:
        """Source: the plugin sagemaker-mlflow, `mlflow_sagemaker_helpers.py`."""
        if self.kind == "mlflow-app":
            return f"https://mlflow.sagemaker.{self.region}.app.aws"
        return f"https://{self.region}.experiments.sagemaker.aws"


def server(arn: str) -> Server:
    """`arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/NAME`, taken apart; Invalid where it is none."""
    parts = arn.split(":")
    kind, _, name = parts[5].partition("/") if len(parts) == 6 else ("", "", "")
    if parts[0] != "arn" or len(parts) != 6 or parts[2] != "sagemaker" or kind not in SERVICES or not name:
        raise Invalid(
            f"{arn[:120]!r} is no address of a SageMaker MLflow server; one is like "
            "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/NAME (see SageMaker Studio, or aws "
            "sagemaker list-mlflow-tracking-servers)",
            "options.arn",
        )
    if parts[1] not in ("aws", "aws-us-gov") or not parts[3]:
        raise Invalid(f"SageMaker has no MLflow in partition {parts[1][:40]}, region {parts[3][:40]!r}", "options.arn")
    return Server(arn=arn, partition=parts[1], region=parts[3], kind=kind)


class Signer:
    """Signs requests to one server. Safe to use from several threads; credentials are looked for at the first one."""

    def __init__(self, region: str, service: str, profile: str = "", extra: Mapping[str, str] | None = None) -> None:
        self.region = region
        self.service = service
        self.profile = profile
        self._extra = dict(extra or {})
        self._lock = threading.Lock()
        self._held: Credentials | None = None

    @classmethod
    def of(cls, found: Server, profile: str) -> Signer:
        return cls(found.region, SERVICES[found.kind], profile, {_ROUTED_BY[found.kind]: found.arn})

    def credentials(self) -> Credentials:
        with self._lock:
            held = self._held
            if held is None or (held.expires is not None and held.expires - _EARLY_S < time.time()):
                held = self._held = find(self.profile)
            return held

    def forget(self) -> None:
        """They were refused: look for them again."""
        with self._lock:
            self._held = None

    def signing(self, body: Any) -> Callable[[httpx.Request], httpx.Request]:
        """What httpx calls before it sends: `body` is what it will send, bytes, a file at its start, or None."""

        def sign(request: httpx.Request) -> httpx.Request:
            # A space is written + by httpx; the two sides must read the same query, so it goes as %20.
            path, _, query = request.url.raw_path.decode("ascii").partition("?")
            query = query.replace("+", "%20")
            request.url = request.url.copy_with(raw_path=(f"{path}?{query}" if query else path).encode("ascii"))
            hashed = body_hash(body)
            headers = {"host": request.headers["host"], "x-amz-content-sha256": hashed, **self._extra}
            if "content-type" in request.headers:
                headers["content-type"] = request.headers["content-type"]
            added = signed(
                request.method,
                path,
                query,
                headers.items(),
                hashed,
                credentials=self.credentials(),
                region=self.region,
                service=self.service,
                at=datetime.now(UTC),
            )
            request.headers.update({"x-amz-content-sha256": hashed, **self._extra, **added})
            return request

        return sign

    def refusal(self, status: int, headers: Any, body: bytes, where: str) -> BackendError | None:
        """AWS's own no, before any MLflow was asked; None where the answer is not one."""
        if status not in (400, 401, 403):
            return None
        kind, said = _told(headers, body)
        words = f"{kind} {said}".lower()
        of = f"profile {self.profile or os.environ.get('AWS_PROFILE') or 'default'}"
        if "signature expired" in words or "not yet current" in words or "timetooskewed" in words:
            return Unauthorized(
                f"{where} takes a signature for five minutes only, and this machine's clock is {_skew(headers)}; set "
                "the clock (timedatectl set-ntp true), then try again"
            )
        if "expiredtoken" in words or ("token" in words and "expired" in words):
            return Stale(f"the AWS session of {of} has ended; sign in again (aws sso login, or however you do)")
        if "signaturedoesnotmatch" in words or "signature we calculated does not match" in words:
            return Unauthorized(
                f"{where} does not accept the signature: the secret key does not belong to the access key; see "
                f"AWS_SECRET_ACCESS_KEY or {of}, and that no proxy changes the request on its way"
            )
        if (
            "unrecognizedclient" in words
            or "invalidclienttokenid" in words
            or "invalidaccesskeyid" in words
            or "security token included in the request is invalid" in words
        ):
            return Unauthorized(
                f"{where} does not know the access key; see AWS_ACCESS_KEY_ID or {of}, and AWS_SESSION_TOKEN with "
                "temporary ones"
            )
        if "accessdenied" in words or "not authorized to perform" in words:
            return Unauthorized(
                f"{where} forbids it: {said[:400] or kind}; ask whoever keeps your IAM role for that right"
            )
        if "missingauthentication" in words or "incompletesignature" in words:
            return Unauthorized(f"{where} saw no whole signature: {said[:300]}; a proxy in between takes headers away")
        return None


def _told(headers: Any, body: bytes) -> tuple[str, str]:
    """(kind, sentence): from a header and JSON, or S3's XML."""
    kind = str(headers.get("x-amzn-errortype", "")).split(":")[0]
    text = body[:20_000].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        return _between(text, "Code") or kind, _between(text, "Message")
    try:
        found = msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, RecursionError):
        return kind, ""
    if not isinstance(found, dict) or "error_code" in found:  # that is MLflow speaking
        return kind, ""
    return kind or str(found.get("__type", "")), str(found.get("message") or found.get("Message") or "")


def _between(text: str, tag: str) -> str:
    return text.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0][:400]


def _skew(headers: Any) -> str:
    from email.utils import parsedate_to_datetime

    try:
        off = datetime.now(UTC).timestamp() - parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return "off"
    return f"{abs(off) / 60:.0f} minutes {'ahead' if off > 0 else 'behind'}" if abs(off) >= 60 else "off"


# ---------------------------------------------------------------- where credentials are


def find(profile: str = "") -> Credentials:
    """In AWS's own order: environment (unless a profile is named), profile, container, instance.

    Unauthorized where there are none, and says where was looked.
    """
    env = os.environ
    if not profile and (env.get("AWS_ACCESS_KEY_ID") or env.get("AWS_SECRET_ACCESS_KEY")):
        if not env.get("AWS_ACCESS_KEY_ID") or not env.get("AWS_SECRET_ACCESS_KEY"):
            raise Unauthorized(
                "of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is set; set both, or neither and use a profile"
            )
        return Credentials(
            access_key=env["AWS_ACCESS_KEY_ID"],
            secret_key=env["AWS_SECRET_ACCESS_KEY"],
            token=env.get("AWS_SESSION_TOKEN", ""),
        )
    named = profile or env.get("AWS_PROFILE", "")
    found = _of_profile(named or "default", wanted=bool(named))
    found = found or (None if named else _of_container() or _of_instance())
    if found is None:
        raise Unauthorized(
            "AWS credentials are wanted to sign the request, and none are here: not in AWS_ACCESS_KEY_ID, not in "
            f"profile {named or 'default'} of {_credentials_file()} or {_config_file()}"
            + ("" if named else ", and this is no container or instance with a role")
            + "; run aws configure or aws sso login, or name a profile with --option profile=NAME"
        )
    return found


def _credentials_file() -> Path:
    return Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials").expanduser()


def _config_file() -> Path:
    return Path(os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config").expanduser()


def _sections(path: Path) -> dict[str, dict[str, str]]:
    import configparser

    found = configparser.RawConfigParser(strict=False, default_section="\0")
    try:
        found.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, configparser.Error):
        # Without the cause: its message holds the line, and the line may be a secret.
        raise Invalid(f"{path} cannot be read; see that it is a file of [profiles] with name = value", "") from None
    return {name: dict(found.items(name)) for name in found.sections()}


def _of_profile(name: str, *, wanted: bool) -> Credentials | None:
    kept = _sections(_credentials_file()).get(name)
    config = _sections(_config_file())
    said = config.get(f"profile {name}") or (config.get(name) if name == "default" else None)
    if kept is None and said is None:
        if not wanted:
            return None
        known = sorted({*_sections(_credentials_file()), *(each.removeprefix("profile ") for each in config)})
        raise Unauthorized(
            f"there is no AWS profile {name} in {_credentials_file()} or {_config_file()}; there are "
            f"{', '.join(known) or 'none'}"
        )
    for section in (kept or {}, said or {}):
        if section.get("aws_access_key_id") and section.get("aws_secret_access_key"):
            return Credentials(
                access_key=section["aws_access_key_id"],
                secret_key=section["aws_secret_access_key"],
                token=section.get("aws_session_token", ""),
            )
    both = {**(said or {}), **(kept or {})}
    if command := both.get("credential_process"):
        return _of_process(command, name)
    if any(key.startswith("sso_") or key in ("role_arn", "login_session") for key in both):
        # Single sign-on and assumed roles are the aws command's own business; it hands out what comes of them.
        aws = shutil.which("aws")
        if aws is None:
            raise Unauthorized(
                f"AWS profile {name} signs in by single sign-on or a role, for which the aws command (version 2) is "
                "needed; install it, or put temporary keys into the environment"
            )
        import shlex

        asked = [aws, "configure", "export-credentials", "--profile", name, "--format", "process"]
        return _of_process(shlex.join(asked), name)
    return None


def _of_process(command: str, profile: str) -> Credentials:
    try:
        printed = printed_by(command)
    except BackendError as error:
        raise Unauthorized(f"AWS profile {profile}: {error}") from None
    found = _of_json(printed.encode(), "SessionToken")
    if found is None:
        raise Unauthorized(f"AWS profile {profile}: its credential command gave no credentials; run it by hand to see")
    return found


def _of_json(raw: bytes, token: str) -> Credentials | None:
    try:
        found = msgspec.json.decode(raw)
        ends = found.get("Expiration")
        return Credentials(
            access_key=found["AccessKeyId"],
            secret_key=found["SecretAccessKey"],
            token=found.get(token) or "",
            expires=datetime.fromisoformat(ends.replace("Z", "+00:00")).timestamp() if ends else None,
        )
    except (msgspec.DecodeError, KeyError, AttributeError, ValueError, TypeError):
        return None


def _of_container() -> Credentials | None:
    env = os.environ
    relative, full = env.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"), env.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
    if not relative and not full:
        return None
    url = f"http://169.254.170.2{relative}" if relative else str(full)
    parts = urlsplit(url)
    if parts.scheme != "https" and parts.hostname not in _CONTAINER_HOSTS:
        raise Invalid(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI must be https, or an address of this machine; credentials go nowhere "
            "else"
        )
    token = env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", "")
    if place := env.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
        try:
            token = Path(place).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise Unauthorized(f"the container's token file {place} cannot be read") from None
    raw = _metadata("GET", url, {"Authorization": token} if token else {})
    return _of_json(raw, "Token") if raw is not None else None


def _of_instance() -> Credentials | None:
    if os.environ.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        return None
    root = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or "http://169.254.169.254").rstrip("/")
    token = _metadata("PUT", f"{root}/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "300"})
    if token is None:
        return None
    headers = {"X-aws-ec2-metadata-token": token.decode("ascii", "replace").strip()}
    roles = f"{root}/latest/meta-data/iam/security-credentials/"
    role = _metadata("GET", roles, headers)
    if not role or not role.strip():
        return None
    raw = _metadata("GET", roles + role.decode("ascii", "replace").split()[0], headers)
    return _of_json(raw, "Token") if raw is not None else None


def _metadata(method: str, url: str, headers: dict[str, str]) -> bytes | None:
    """Asked without any proxy: the address is this machine's own."""
    import httpx

    try:
        answer = httpx.request(method, url, headers=headers, timeout=_METADATA_S, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None
    return answer.content if answer.status_code == 200 else None

"""A managed MLflow as its documentation tells of it, made of a real one: routes, who may ask, what is lacking.

It stands before a real `mlflow server` and passes on what the service has. Signatures are checked here by a reading of
AWS's description that shares nothing with `backends/mlflow/sigv4.py`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/team"
ACCESS, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
BEARER = "dapi-for-tests"
CLIENT, CLIENT_SECRET = "service-principal", "oauth-for-tests"
USER, PASSWORD = "ann", "hub-for-tests"
AZURE_PATH = (
    "/mlflow/v1.0/subscriptions/1234/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws"
)
HUB_PATH = "/ann/churn.mlflow"
BUCKET = "team-bucket"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Asked:
    method: str
    target: str
    headers: Any
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]


def no(status: int, code: str, message: str) -> Answer:
    return Answer(status, json.dumps({"error_code": code, "message": message}).encode())


class FlavourServer:
    """One running service. `flavour` as in a context; `lost` are asked requests, newest last."""

    def __init__(self, upstream: str, flavour: str, *, bucket: bool = False) -> None:
        self.upstream = upstream
        self.flavour = flavour
        self.bucket = bucket
        """SageMaker's files lie in S3, at addresses of this server; else behind its proxy."""
        self.now: Callable[[], float] = time.time
        self.asked: list[Asked] = []
        self.tokens = 0
        """How many machine tokens were given."""
        # A connection a request: one that is kept may be closed by the server just as it is used again.
        self._client = httpx.Client(timeout=60, limits=httpx.Limits(max_keepalive_connections=0))
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                asked = Asked(self.command, self.path, self.headers, body)
                service.asked.append(asked)
                found = service.answer(asked)
                self.send_response_only(found.status)
                self.send_header("Date", self.date_time_string(service.now()))
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.root = f"http://127.0.0.1:{self._server.server_port}"

    @property
    def prefix(self) -> str:
        return {"azureml": AZURE_PATH, "dagshub": HUB_PATH}.get(self.flavour, "")

    @property
    def url(self) -> str:
        return self.root + self.prefix

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._client.close()

    # ------------------------------------------------------------ one request

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/oidc/v1/token" and self.flavour in ("databricks", "unity-catalog"):
            return self._machine_token(asked)
        if asked.path.startswith("/storage/"):
            return self._storage(asked)
        if asked.path.startswith(f"/{BUCKET}/"):
            return self._s3(asked)
        refused = self._who(asked)
        if refused is not None:
            return refused
        if not asked.path.startswith(self.prefix + "/"):
            return Answer(404, b"<html>Not Found</html>")
        asked = Asked(asked.method, asked.target.removeprefix(self.prefix), asked.headers, asked.body)
        return getattr(self, f"_{self.flavour.replace('-', '_')}", self._all)(asked)  # type: ignore[no-any-return]

    def _who(self, asked: Asked) -> Answer | None:
        said = asked.headers.get("authorization", "")
        if self.flavour == "sagemaker":
            if asked.headers.get("x-mlflow-sm-tracking-server-arn") != ARN:
                return Answer(500, b'{"message":"Internal failure"}')
            return verify(asked, "sagemaker-mlflow", "eu-west-1", self.now())
        if self.flavour == "dagshub":
            pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            return None if said == f"Basic {pair}" else Answer(401, b"Unauthorized")
        if said != f"Bearer {BEARER}":
            return no(403 if self.flavour == "databricks" else 401, "PERMISSION_DENIED", "Invalid access token.")
        return None

    def _all(self, asked: Asked) -> Answer:
        headers = {"content-type": asked.headers.get("content-type", "")} if asked.body else {}
        found = self._client.request(
            asked.method, f"{self.upstream}{asked.target}", content=asked.body or None, headers=headers
        )
        return Answer(found.status_code, found.content, {"Content-Type": found.headers.get("content-type", "")})

    def _moved(self, asked: Asked, scheme: str) -> Answer:
        """The same, where files lie elsewhere: the paths say so."""
        found = self._all(asked)
        if asked.path.startswith("/api/2.0/mlflow/"):
            found.body = found.body.replace(b"mlflow-artifacts:/", scheme.encode())
        return found

    # ------------------------------------------------------------ SageMaker

    def _sagemaker(self, asked: Asked) -> Answer:
        if not asked.path.startswith("/api/2.0/mlflow"):
            return Answer(404, b'{"message":"Not Found"}')
        if not self.bucket:
            return self._all(asked)
        if asked.path.startswith(_FILES):
            return no(503, "TEMPORARILY_UNAVAILABLE", "artifacts are not proxied")
        return self._moved(asked, f"s3://{BUCKET}/")

    def _s3(self, asked: Asked) -> Answer:
        refused = verify(asked, "s3", "eu-west-1", self.now())
        if refused is not None:
            return refused
        found = self._all(
            Asked(asked.method, _FILES + asked.target.removeprefix(f"/{BUCKET}"), asked.headers, asked.body)
        )
        return found if found.status < 400 else Answer(found.status, b"<Error><Code>NoSuchKey</Code></Error>")

    # ------------------------------------------------------------ Databricks

    def _machine_token(self, asked: Asked) -> Answer:
        pair = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        wanted = {"grant_type": ["client_credentials"], "scope": ["all-apis"]}
        if (
            asked.headers.get("authorization") != f"Basic {pair}"
            or urllib.parse.parse_qs(asked.body.decode()) != wanted
        ):
            return Answer(401, b'{"error":"invalid_client"}')
        self.tokens += 1
        return Answer(200, json.dumps({"access_token": BEARER, "token_type": "Bearer", "expires_in": 3600}).encode())

    def _databricks(self, asked: Asked, *, registry: bool = True) -> Answer:
        route = asked.path.removeprefix("/api/2.0/mlflow/")
        unknown = no(404, "ENDPOINT_NOT_FOUND", f"No API found for '{asked.method} {asked.path}'")
        if route == asked.path or (registry and route == "registered-models/alias"):
            return unknown
        if route in ("artifacts/credentials-for-read", "artifacts/credentials-for-write"):
            return self._credentials(asked)
        body = asked.body
        if body and asked.method == "POST":
            told = json.loads(body)
            token = told.get("page_token")
            if token:
                if not token.startswith("opaque-"):
                    return no(400, "INVALID_PARAMETER_VALUE", "Invalid page token")
                body = json.dumps({**told, "page_token": token.removeprefix("opaque-")}).encode()
        found = self._moved(Asked(asked.method, asked.target, asked.headers, body), "dbfs:/databricks/mlflow-tracking/")
        found.body = re.sub(rb'"next_page_token":\s*"', b'"next_page_token":"opaque-', found.body)
        return found

    def _credentials(self, asked: Asked) -> Answer:
        told = json.loads(asked.body)
        run, (path,) = told["run_id"], told["path"]
        info = self._client.get(f"{self.upstream}/api/2.0/mlflow/runs/get", params={"run_id": run}).json()
        inner = info["run"]["info"]["artifact_uri"].removeprefix("mlflow-artifacts:")
        signed = f"{self.root}/storage{inner}/{urllib.parse.quote(path)}?sig=once"
        one = {
            "run_id": run, "path": path, "signed_uri": signed, "type": "AZURE_SAS_URI",
            "headers": [{"name": "x-ms-encryption-key", "value": "k"}],
        }  # fmt: skip
        return Answer(200, json.dumps({"credential_infos": [one]}).encode())

    def _storage(self, asked: Asked) -> Answer:
        """A cloud's: the address is the right to it, and a second one is an error."""
        if asked.query != "sig=once" or asked.headers.get("x-ms-encryption-key") != "k":
            return Answer(403, b"AuthenticationFailed")
        if asked.headers.get("authorization"):
            return Answer(400, b"InvalidAuthenticationInfo")
        if asked.method == "PUT" and asked.headers.get("x-ms-blob-type") != "BlockBlob":
            return Answer(400, b"MissingRequiredHeader")
        return self._all(Asked(asked.method, _FILES + asked.path.removeprefix("/storage"), asked.headers, asked.body))

    # ------------------------------------------------------------ Unity Catalog

    def _unity_catalog(self, asked: Asked) -> Answer:
        route = asked.path.removeprefix("/api/2.0/mlflow/")
        if route.startswith(("registered-models/", "model-versions/")):
            return no(404, "ENDPOINT_NOT_FOUND", "the workspace registry is disabled")
        catalog = route.removeprefix("unity-catalog/")
        if catalog == route:
            return self._databricks(asked, registry=False)
        told = dict(urllib.parse.parse_qsl(asked.query)) | (json.loads(asked.body) if asked.body else {})
        if "order_by" in told or (catalog == "registered-models/search" and "filter" in told):
            return no(400, "INVALID_PARAMETER_VALUE", "filter and order_by are unsupported")
        if catalog == "model-versions/search" and not re.fullmatch(
            r"(name|run_id) ?= ?'[^']*'", told.get("filter", "")
        ):
            return no(400, "INVALID_PARAMETER_VALUE", "one condition on name or run_id is wanted")
        if "name" in told and str(told["name"]).count(".") != 2:
            return no(400, "INVALID_PARAMETER_VALUE", "a name is catalog.schema.model")
        if catalog.endswith(("/rename", "/transition-stage", "/get-latest-versions")):
            return no(404, "ENDPOINT_NOT_FOUND", f"No API found for '{asked.method} {asked.path}'")
        target = asked.target.replace("/mlflow/unity-catalog/", "/mlflow/")
        found = self._all(Asked(asked.method, target, asked.headers, asked.body))
        if found.status == 200 and catalog.endswith(("/search", "/get")):
            said = json.loads(found.body)
            if catalog == "registered-models/search":  # what others left on the server behind has names of its own kind
                all_names = said.get("registered_models", [])
                said["registered_models"] = [each for each in all_names if each["name"].count(".") == 2]
            kinds = ("registered_models", "model_versions", "registered_model", "model_version")
            for each in [one for kind in kinds for one in _listed(said.get(kind))]:
                each.pop("latest_versions", None)
                if catalog.endswith("/search"):
                    each.pop("aliases", None)
                    each.pop("tags", None)
                elif catalog == "model-versions/get" and "aliases" in each:
                    each["aliases"] = [{"alias": name, "version": each["version"]} for name in each["aliases"]]
            found.body = json.dumps(said).encode()
        return found

    # ------------------------------------------------------------ Azure ML

    def _azureml(self, asked: Asked) -> Answer:
        route = asked.path.removeprefix("/api/2.0/mlflow/")
        if route == asked.path or route in ("registered-models/rename", "registered-models/delete"):
            return Answer(404, b"")
        return self._moved(asked, "azureml://")


def _listed(found: Any) -> list[dict[str, Any]]:
    return found if isinstance(found, list) else [found] if found else []


# ---------------------------------------------------------------- signatures


def verify(asked: Asked, service: str, region: str, now: float) -> Answer | None:
    """AWS's no to a request, or None: its signature is worked out again from what came over the wire."""
    said = asked.headers.get("authorization", "")
    found = re.fullmatch(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, ?"
        r"SignedHeaders=([^,]+), ?Signature=(\w{64})",
        said,
    )
    if found is None:
        return _aws_no("MissingAuthenticationTokenException", "Missing Authentication Token")
    access, day, its_region, its_service, names, signature = found.groups()
    if access != ACCESS:
        return _aws_no("UnrecognizedClientException", "The security token included in the request is invalid.")
    if (its_region, its_service) != (region, service):
        return _aws_no("InvalidSignatureException", f"Credential should be scoped to {region}/{service}")
    stamp = asked.headers.get("x-amz-date", "")
    at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    if abs(at - now) > 300 or not stamp.startswith(day):
        moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        return _aws_no("InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {moment}")
    listed = names.split(";")
    must = {"host", "x-amz-date", *(name.lower() for name in asked.headers if name.lower().startswith("x-amz-"))}
    if not must <= set(listed) or listed != sorted(listed):
        return _aws_no("InvalidSignatureException", "a header must be signed")
    digest = hashlib.sha256(asked.body).hexdigest()
    if asked.headers.get("x-amz-content-sha256") != digest:
        return _aws_no("InvalidSignatureException", "The body is not the one that was signed")

    def safe(text: str) -> str:
        kept = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
        return "".join(chr(byte) if byte in kept else f"%{byte:02X}" for byte in text.encode())

    # Of S3 the path is as it came; of every other service each part is encoded once more.
    path = asked.path if service == "s3" else "/".join(safe(part) for part in asked.path.split("/"))
    pairs = sorted((safe(n), safe(v)) for n, v in urllib.parse.parse_qsl(asked.query, keep_blank_values=True))
    text = asked.method + "\n" + path + "\n" + "&".join(f"{n}={v}" for n, v in pairs) + "\n"
    for name in listed:
        text += f"{name}:{asked.headers[name].strip()}\n"
    text += "\n" + names + "\n" + digest
    scope = f"{day}/{region}/{service}/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}"
    key = ("AWS4" + SECRET).encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest(), signature):
        return _aws_no("InvalidSignatureException", "The request signature we calculated does not match the signature")
    return None


def _aws_no(kind: str, message: str) -> Answer:
    return Answer(403, json.dumps({"message": message}).encode(), {"x-amzn-ErrorType": kind})

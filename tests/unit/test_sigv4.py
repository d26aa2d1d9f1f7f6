"""AWS signatures: the vectors that AWS publishes, botocore's own, and where credentials are found."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from backends.contract import Invalid, Unauthorized
from backends.mlflow import aws
from backends.mlflow.aws import Signer, find, server
from backends.mlflow.sigv4 import Credentials, body_hash, signed
from backends.mlflow.trouble import Stale

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"  # AWS's own example
UNRESERVED = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRq"
    "TflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75Y"
    "U9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9K"
    "SYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)

# (name, method, target, headers besides host, body, session token, signature) of github.com/awslabs/aws-c-auth,
# tests/aws-signing-test-suite/v4, those with a normalised path: region us-east-1, service "service".
# fmt: off
VECTORS: list[tuple[str, str, str, list[tuple[str, str]], str, str, str]] = [
    ("get-header-key-duplicate", "GET", "/", [('My-Header1', 'value2'), ('My-Header1', 'value2'),
     ('My-Header1', 'value1')], "", "",
     "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
    ("get-header-value-multiline", "GET", "/", [('My-Header1', 'value1\n  value2\n     value3')], "", "",
     "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd"),
    ("get-header-value-order", "GET", "/", [('My-Header1', 'value4'), ('My-Header1', 'value1'),
     ('My-Header1', 'value3'), ('My-Header1', 'value2')], "", "",
     "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"),
    ("get-header-value-trim", "GET", "/", [('My-Header1', ' value1'), ('My-Header2', ' "a   b   c"')], "", "",
     "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
    ("get-relative", "GET", "/example/..", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-relative-relative", "GET", "/example1/example2/../..", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-slash-dot-slash", "GET", "/./", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-slash", "GET", "//", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-slash-pointless-dot", "GET", "/./example", [], "", "",
     "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"),
    ("get-slashes", "GET", "//example//", [], "", "",
     "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"),
    ("get-space", "GET", "/example space/", [], "", "",
     "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"),
    ("get-unreserved", "GET", f"/{UNRESERVED}", [], "", "",
     "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    ("get-utf8", "GET", "/ሴ", [], "", "",
     "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    ("get-vanilla", "GET", "/", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-vanilla-empty-query-key", "GET", "/?Param1=value1", [], "", "",
     "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
    ("get-vanilla-query", "GET", "/", [], "", "",
     "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
    ("get-vanilla-query-order-encoded", "GET", "/?Param-3=Value3&Param=Value2&%E1%88%B4=Value1", [], "", "",
     "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"),
    ("get-vanilla-query-order-key-case", "GET", "/?Param2=value2&Param1=value1", [], "", "",
     "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ("get-vanilla-query-unreserved", "GET", f"/?{UNRESERVED}={UNRESERVED}", [], "", "",
     "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"),
    ("get-vanilla-utf8-query", "GET", "/?ሴ=bar", [], "", "",
     "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
    ("get-vanilla-with-session-token", "GET", "/", [], "",
     "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
     "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"),
    ("post-header-key-case", "POST", "/", [], "", "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-header-key-sort", "POST", "/", [('My-Header1', 'value1')], "", "",
     "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
    ("post-header-value-case", "POST", "/", [('My-Header1', 'VALUE1')], "", "",
     "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"),
    ("post-sts-header-after", "POST", "/", [], "", "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-sts-header-before", "POST", "/", [], "", TOKEN,
     "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"),
    ("post-vanilla", "POST", "/", [], "", "",
     "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ("post-vanilla-empty-query-value", "POST", "/?Param1=value1", [], "", "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    ("post-vanilla-query", "POST", "/?Param1=value1", [], "", "",
     "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
    ("post-x-www-form-urlencoded", "POST", "/", [('Content-Type', 'application/x-www-form-urlencoded'),
     ('Content-Length', '13')], "Param1=value1", "",
     "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"),
    ("post-x-www-form-urlencoded-parameters", "POST", "/", [('Content-Type',
     'application/x-www-form-urlencoded; charset=utf-8'), ('Content-Length', '13')], "Param1=value1", "",
     "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422"),
]
# fmt: on


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector[0])
def test_a_signature_is_the_one_that_aws_publishes(vector: Any) -> None:
    _, method, target, headers, body, token, wanted = vector
    path, _, query = target.partition("?")
    hashed = body_hash(body.encode())
    told = [("Host", "example.amazonaws.com"), *headers]
    if body:
        told.append(("X-Amz-Content-Sha256", hashed))
    found = signed(
        method, path, query, told, hashed,
        credentials=Credentials(access_key="AKIDEXAMPLE", secret_key=KEY, token=token),
        region="us-east-1", service="service", at=datetime(2015, 8, 30, 12, 36, tzinfo=UTC),
    )  # fmt: skip
    assert found["authorization"].rpartition("=")[2] == wanted


# ---------------------------------------------------------------- as botocore signs it

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/team"
SAGEMAKER = "https://eu-west-1.experiments.sagemaker.aws/api/2.0"
JSON = {"content-type": "application/json"}
BYTES = {"content-type": "application/octet-stream"}

# (method, address, body, headers, ARN or none for S3, session token, signature). The signatures are botocore 1.44.8's:
# SigV4Auth (S3SigV4Auth for S3) over an AWSRequest with these headers, the routing header and x-amz-content-sha256,
# at the time AT in region eu-west-1.
AT = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
ORACLE: list[tuple[str, str, bytes, dict[str, str], str, str, str]] = [
    (
        "POST", f"{SAGEMAKER}/mlflow/runs/search", b'{"experiment_ids":["0"],"max_results":50}', JSON, ARN, "",
        "1e553c32737f77b1457b3dd7ea0933ede08fbb82819c49dc6e1139f92cbedbe1",
    ),
    (
        "GET", f"{SAGEMAKER}/mlflow/registered-models/search?filter=name+LIKE+%27ch%25%27&max_results=100", b"", {},
        ARN, "", "30597be6b1c7e9d93d9b12842b23757fbe2030b3badff4f3398b34f8cb5930c8",
    ),
    (
        "GET",
        f"{SAGEMAKER}/mlflow/metrics/get-history-bulk-interval?run_ids=b&run_ids=a&metric_key=val%2Floss%2B1%3D~"
        "&max_results=320",
        b"", {}, ARN, "session/token+of==", "7f573b6dbd8f53e294a005299c62ece383566ca318f603cd50635cc8fd72a12f",
    ),
    (
        "PUT", f"{SAGEMAKER}/mlflow-artifacts/artifacts/0/r/artifacts/a%20b/%C3%A9%2B%28x%29.bin", b"\x00\x01" * 70_000,
        BYTES, ARN, "", "931b5373b6f43eb621bf7c83faca13414458fe9fc0bfbb467ea3a3feef5773d2",
    ),
    (
        "DELETE", f"{SAGEMAKER}/mlflow/registered-models/alias", b'{"name":"churn","alias":"champion"}', JSON, ARN,
        "session/token+of==", "2a29af27c8b0b8777968948e9163df8ba3c1d8b601d526ce59ea74790d8d5d34",
    ),
    (
        "GET", "http://127.0.0.1:8080/prefix//api/./2.0/../2.0/mlflow/runs/get?run_id=&x", b"", {}, ARN, "",
        "3e2ba0465fe0f58fc12d24f266f29e893b3d9b2ab0b1d9e13dfba34afc777525",
    ),
    (
        "POST", "https://mlflow.sagemaker.eu-west-1.app.aws/api/2.0/mlflow/experiments/search", b'{"max_results":1}',
        JSON, ARN.replace("mlflow-tracking-server", "mlflow-app"), "",
        "abc2b5f53fe82e6cdbf6a24cd8a20770166ef81cc0b9d7a60c6aea4fac8d8be3",
    ),
    (
        "GET", "https://team.s3.eu-west-1.amazonaws.com/0/r/artifacts/a%20b/%C3%A9%2B%28x%29//.bin", b"", {}, "", "",
        "4ef7d2ddaf439531979273795cddfd35829f097e8f86ad1515781f3127e29335",
    ),
    (
        "PUT", "https://team.s3.eu-west-1.amazonaws.com/0/r/artifacts/model/MLmodel", b"flavors: {}\n", {}, "",
        "session/token+of==", "fb9c164bf90d4797d31011da9851ddf3a9068c9652e95d70e678ce43b506b75b",
    ),
]  # fmt: skip


@pytest.mark.parametrize("case", ORACLE, ids=lambda case: f"{case[0]} {case[1].partition('?')[0][-40:]}")
@pytest.mark.parametrize("streamed", [False, True])
def test_a_request_is_signed_as_botocore_signs_it(case: Any, streamed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    method, address, body, headers, arn, token, wanted = case
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    monkeypatch.setattr(aws, "datetime", Stopped)
    signer = Signer.of(server(arn), "") if arn else Signer("eu-west-1", "s3")
    sent: Any = io.BytesIO(body) if streamed else body
    request = httpx.Request(method, address, headers=headers)
    found = signer.signing(sent)(request)
    assert found.headers["authorization"].rpartition("=")[2] == wanted
    assert found.headers["x-amz-date"] == "20260301T040506Z"
    assert "+" not in found.url.raw_path.decode()
    assert not streamed or sent.read() == body


class Stopped(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return AT.astimezone(tz)


# ---------------------------------------------------------------- where credentials are


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with nothing of AWS in it, and no metadata service."""
    for name in list(aws.os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    (tmp_path / ".aws").mkdir()
    return tmp_path


def write(home: Path, name: str, text: str) -> None:
    (home / ".aws" / name).write_text(text)


def test_the_environment_comes_first_unless_a_profile_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "credentials", "[default]\naws_access_key_id = FILE\naws_secret_access_key = s%cr\n")
    assert find().access_key == "FILE"
    assert find().secret_key == "s%cr"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")
    assert (find().access_key, find().token) == ("ENV", "t")
    assert find("default").access_key == "FILE"


def test_half_an_environment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ENV")
    with pytest.raises(Unauthorized, match="only one is set"):
        find()


def test_a_profile_of_the_config_file_may_name_a_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = home / "creds.py"
    ends = "2030-01-01T00:00:00Z"
    script.write_text(
        f'print(\'{{"Version":1,"AccessKeyId":"CMD","SecretAccessKey":"s","SessionToken":"t","Expiration":"{ends}"}}\')'
    )
    write(home, "config", f"[profile team]\nregion = eu-west-1\ncredential_process = {sys.executable} {script}\n")
    monkeypatch.setenv("AWS_PROFILE", "team")
    found = find()
    assert (found.access_key, found.token, found.expires) == ("CMD", "t", 1893456000.0)
    script.write_text("print('s3cret')\nraise SystemExit(1)")
    with pytest.raises(Unauthorized, match="profile team") as caught:
        find()
    assert "s3cret" not in str(caught.value)


def test_single_sign_on_is_left_to_the_aws_command(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(home, "config", "[profile sso]\nsso_session = corp\nsso_role_name = reader\n")
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(Unauthorized, match="the aws command"):
        find("sso")
    fake = home / "aws"
    fake.write_text(
        f"#!{sys.executable}\nimport sys\nassert sys.argv[1:] == ['configure', 'export-credentials', '--profile', "
        '\'sso\', \'--format\', \'process\']\nprint(\'{"Version":1,"AccessKeyId":"SSO","SecretAccessKey":"s"}\')\n'
    )
    fake.chmod(0o755)
    assert find("sso").access_key == "SSO"


def test_without_any_the_places_are_told(home: Path) -> None:
    with pytest.raises(Unauthorized, match=r"AWS_ACCESS_KEY_ID.*profile default.*aws configure"):
        find()
    with pytest.raises(Unauthorized, match="there is no AWS profile nine"):
        find("nine")


def test_a_broken_file_is_told_without_what_it_holds(home: Path) -> None:
    write(home, "credentials", "aws_secret_access_key = s3cret\n")
    with pytest.raises(Invalid, match="cannot be read") as caught:
        find()
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_containers_credentials_go_to_this_machine_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://evil.example/creds")
    with pytest.raises(Invalid, match="must be https"):
        find()


def test_container_and_instance_are_asked_as_aws_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []
    keys = b'{"AccessKeyId":"ROLE","SecretAccessKey":"s","Token":"t","Expiration":"2030-01-01T00:00:00Z"}'

    def metadata(method: str, url: str, headers: dict[str, str]) -> bytes | None:
        asked.append((method, url, headers))
        return b"token" if method == "PUT" else b"role-name\n" if url.endswith("security-credentials/") else keys

    monkeypatch.setattr(aws, "_metadata", metadata)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "mine")
    assert (find().access_key, find().token) == ("ROLE", "t")
    assert asked[0] == ("GET", "http://169.254.170.2/v2/x", {"Authorization": "mine"})
    monkeypatch.delenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
    asked.clear()
    assert find().access_key == "ROLE"
    assert [url.rpartition("/latest/")[2] for _, url, _ in asked] == [
        "api/token", "meta-data/iam/security-credentials/", "meta-data/iam/security-credentials/role-name",
    ]  # fmt: skip
    assert asked[2][2] == {"X-aws-ec2-metadata-token": "token"}


def test_credentials_that_end_soon_are_fetched_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(
        [Credentials(access_key=name, secret_key="s", expires=ends) for name, ends in (("A", 1.0), ("B", 9e12))]
    )
    monkeypatch.setattr(aws, "find", lambda profile: next(made))
    signer = Signer("eu-west-1", "sagemaker-mlflow")
    assert [signer.credentials().access_key for _ in range(3)] == ["A", "B", "B"]


def test_no_repr_holds_a_secret() -> None:
    assert KEY not in repr(Credentials(access_key="AKIDEXAMPLE", secret_key=KEY, token="t0ken"))
    assert "t0ken" not in repr(Credentials(access_key="AKIDEXAMPLE", secret_key=KEY, token="t0ken"))


# ---------------------------------------------------------------- what AWS says no with


@pytest.mark.parametrize(
    ("status", "kind", "said", "sentence"),
    [
        (403, "", "Signature expired: 20260301T040506Z is now earlier than 20260301T042006Z", "clock"),
        (403, "InvalidSignatureException", "Signature not yet current: 20260301T040506Z", "clock"),
        (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large",
            "clock",
        ),
        (403, "InvalidSignatureException", "The request signature we calculated does not match", "secret key does not"),
        (
            403,
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            "not know the acc",
        ),
        (
            403,
            "AccessDeniedException",
            "User: x is not authorized to perform: sagemaker-mlflow:SearchRuns",
            "SearchRuns",
        ),
        (403, "ExpiredTokenException", "The security token included in the request is expired", "session"),
        (403, "MissingAuthenticationTokenException", "Missing Authentication Token", "proxy"),
    ],
)
def test_a_no_of_aws_says_what_to_do(status: int, kind: str, said: str, sentence: str) -> None:
    signer = Signer("eu-west-1", "sagemaker-mlflow")
    for body in (f'{{"message":"{said}"}}', f'{{"Message":"{said}","__type":"{kind}"}}'):
        error = signer.refusal(status, {"x-amzn-errortype": kind}, body.encode(), "https://x")
        assert isinstance(error, Unauthorized)
        assert sentence in str(error)
        assert isinstance(error, Stale) is (kind == "ExpiredTokenException")


def test_s3s_no_is_read_from_its_xml_and_the_clock_from_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws, "datetime", Stopped)
    body = b"<Error><Code>RequestTimeTooSkewed</Code><Message>too large</Message></Error>"
    error = Signer("eu-west-1", "s3").refusal(403, {"date": "Sun, 01 Mar 2026 04:25:06 GMT"}, body, "S3")
    assert "clock is 20 minutes behind" in str(error)


def test_mlflows_own_no_is_left_to_it() -> None:
    signer = Signer("eu-west-1", "sagemaker-mlflow")
    said = b'{"error_code":"PERMISSION_DENIED","message":"the token has expired"}'
    assert signer.refusal(403, {}, said, "https://x") is None
    assert signer.refusal(404, {}, b"", "https://x") is None


@pytest.mark.parametrize(
    "arn",
    ["", "arn:aws:s3:::bucket", "arn:aws:sagemaker:eu-west-1:1:model/x", "arn:aws:sagemaker:eu-west-1:1:mlflow-app/",
     "arn:aws-cn:sagemaker:cn-north-1:1:mlflow-app/x", "arn:aws:sagemaker::1:mlflow-app/x"],
)  # fmt: skip
def test_what_is_no_servers_arn_is_refused(arn: str) -> None:
    with pytest.raises(Invalid):
        server(arn)

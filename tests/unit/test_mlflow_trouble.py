"""What MLflow servers, and what stands before them, say when something is wrong: our errors, with a way out.

The texts are those that a real MLflow 3.17.2 and common gateways gave.
"""

from __future__ import annotations

import json
import ssl
import time
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from backends.contract import (
    BackendError,
    Conflict,
    Invalid,
    NotFound,
    Refused,
    Unauthorized,
    Unreachable,
    Unsupported,
)
from backends.login import Login
from backends.mlflow import decode, trouble
from backends.mlflow.address import check_workspace, checked_address, patience_of
from backends.mlflow.sending import Sender
from backends.mlflow.transport import Answer
from backends.remote import doubt

WHERE = "http://mlflow.example.org:5000"
ASKED = "POST runs/search"
HTML_404 = b"<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>"
HTML_502 = b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center>nginx/1.25.3</center></body></html>"


def said(status: int, body: bytes = b"", where: str = WHERE, **headers: str) -> BackendError:
    given = httpx.Headers([(key.replace("_", "-").encode(), value.encode("latin-1")) for key, value in headers.items()])
    return trouble.of_answer(status, given, body, where, ASKED)


# ---------------------------------------------------------------- answers that are no JSON


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (404, HTML_404, Unsupported, ("404", "no MLflow server", "needs a path")),
        (405, b"<title>405 Method Not Allowed</title>", Unsupported, ("405", "address")),
        (401, b"You are not authenticated. Please see https://x", Unauthorized, ("401", "token or password")),
        (403, b"Permission denied", Unauthorized, ("403", ASKED, "ask its admin")),
        (
            403,
            b"Invalid Host header - possible DNS rebinding attack detected",
            trouble.TurnedAway,
            ("--allowed-hosts", "ssh -L"),
        ),
        (503, b"Workspaces are not enabled on this server", Invalid, ("no workspaces", "option workspace")),
        (502, HTML_502, Unreachable, ("502", "try again later")),
        (500, b"Internal Server Error", Unreachable, ("500", "Internal Server Error", "try again later")),
        (504, b"upstream request timeout", Unreachable, ("504", "upstream request timeout")),
        (408, b"", Unreachable, ("408", "try again later")),
        (429, b"slow down", trouble.NotDone, ("too often", "try again later")),
        (413, b"<h1>413 Request Entity Too Large</h1>", Invalid, ("413", "nothing was changed", "limit")),
        (407, b"Proxy Authentication Required", Unauthorized, ("proxy", "HTTPS_PROXY")),
        (400, b"Client sent an HTTP request to an HTTPS server.\n", trouble.TurnedAway, ("mlflow+https://",)),
        (400, b"The plain HTTP request was sent to HTTPS port", trouble.TurnedAway, ("mlflow+https://",)),
        (418, b"I am a teapot", BackendError, ("418", "teapot", "address")),
    ],
)
def test_what_is_no_json_is_told_in_our_words(
    status: int, body: bytes, kind: type[BackendError], words: tuple[str, ...]
) -> None:
    found = said(status, body)
    assert type(found) is kind
    for word in words:
        assert word in str(found)
    assert "<" not in str(found)


def test_what_answers_on_port_5000_of_a_mac_is_named() -> None:
    found = said(403, b"", server="AirTunes/775.3.1")
    assert isinstance(found, trouble.TurnedAway)
    assert "other than 5000" in str(found)


@pytest.mark.parametrize(
    ("location", "words", "never"),
    [
        ("https://mlflow.example.org:5000/api", ("mlflow+https://",), ()),
        ("https://sso.example.org/login?token=hunter2", ("https://sso.example.org/login", "log in"), ("hunter2",)),
        ("https://ann:hunter2@sso.example.org/x#hunter2", ("sso.example.org/x",), ("hunter2", "ann")),
        ("/login", ("/login",), ()),
        ("", ("nowhere",), ()),
        ("https://\x1b[31m", ("nowhere",), ("\x1b",)),
        ("https://[half", ("nowhere",), ()),
    ],
)
def test_a_redirect_is_not_followed_and_says_where_to(
    location: str, words: tuple[str, ...], never: tuple[str, ...]
) -> None:
    found = said(302, b"", location=location)
    assert type(found) is trouble.TurnedAway
    assert all(word in str(found) for word in words)
    assert not any(word in str(found) for word in never)


# ---------------------------------------------------------------- the protocol's own errors


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "RESOURCE_DOES_NOT_EXIST", NotFound),
        (404, "NOT_FOUND", NotFound),
        (404, "ENDPOINT_NOT_FOUND", Unsupported),
        (400, "INVALID_PARAMETER_VALUE", Invalid),
        (400, "BAD_REQUEST", Invalid),
        (400, "MALFORMED_REQUEST", Invalid),
        (400, "RESOURCE_ALREADY_EXISTS", Conflict),
        (409, "ALREADY_EXISTS", Conflict),
        (409, "RESOURCE_CONFLICT", Conflict),
        (409, "ABORTED", Conflict),
        (500, "INVALID_STATE", Refused),
        (400, "QUOTA_EXCEEDED", Refused),
        (403, "PERMISSION_DENIED", Unauthorized),
        (401, "UNAUTHENTICATED", Unauthorized),
        (401, "CUSTOMER_UNAUTHORIZED", Unauthorized),
        (403, "403", Unauthorized),
        (429, "RESOURCE_EXHAUSTED", trouble.NotDone),
        (429, "REQUEST_LIMIT_EXCEEDED", trouble.NotDone),
        (429, "a gateway's own", trouble.NotDone),
        (501, "NOT_IMPLEMENTED", Unsupported),
        (503, "TEMPORARILY_UNAVAILABLE", Unreachable),
        (504, "DEADLINE_EXCEEDED", Unreachable),
        (500, "INTERNAL_ERROR", Unreachable),
        (500, "DATA_LOSS", Unreachable),
        (400, "NEVER_HEARD_OF", BackendError),
    ],
)
def test_a_code_of_mlflow_is_a_kind_of_error(status: int, code: str, kind: type[BackendError]) -> None:
    body = {"error_code": code, "message": "what it is about", "sqlstate": "KAM00", "error_class": "RESOURCE_NOT_FOUND"}
    found = said(status, json.dumps(body).encode())
    assert type(found) is kind
    assert "what it is about" in str(found)


def test_an_unheard_of_error_names_its_code() -> None:
    assert "NEVER_HEARD_OF" in str(said(400, b'{"error_code": "NEVER_HEARD_OF"}'))


def test_a_stores_own_sql_is_not_repeated() -> None:
    body = {
        "error_code": "RESOURCE_ALREADY_EXISTS",
        "message": "Experiment(name=a) already exists. Error: (sqlite3.IntegrityError) UNIQUE constraint failed: "
        "experiments.name [SQL: INSERT INTO experiments (name) VALUES (?)]",
    }
    found = said(400, json.dumps(body).encode())
    assert isinstance(found, Conflict)
    assert "INSERT" not in str(found)


def test_a_text_of_a_server_is_cut() -> None:
    assert len(str(said(400, json.dumps({"error_code": "BAD_REQUEST", "message": "x" * 100_000}).encode()))) < 1_000
    assert len(str(said(500, b"x" * 100_000))) < 500


# ---------------------------------------------------------------- when to ask again


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7), ("86400", 300), ("0", 0), ("", None), ("²", None), ("9" * 5_000, None), ("-1", None), ("soon", None)],
)
def test_retry_after_is_kept_within_reason(header: str, seconds: int | None) -> None:
    asked = time.time()
    found = said(503, b"", retry_after=header)
    assert isinstance(found, Unreachable)
    if seconds is None:
        assert found.retry_at is None
    else:
        assert found.retry_at is not None
        assert asked + seconds - 5 < found.retry_at / 1000 < time.time() + seconds + 5


def test_retry_after_may_be_a_date() -> None:
    at = time.time() + 20
    found = said(429, b"", retry_after=formatdate(at, usegmt=True))
    assert isinstance(found, Unreachable)
    assert found.retry_at is not None
    assert abs(found.retry_at / 1000 - at) < 5


# ---------------------------------------------------------------- no answer at all


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), trouble.NotDone, "nothing listens"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), trouble.NotDone, "no machine of the name"),
        (httpx.ConnectError("[Errno 113] No route to host"), trouble.NotDone, "no way to"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), trouble.TurnedAway, "ca_file="),
        (httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), trouble.TurnedAway, "mlflow+http://"),
        (httpx.ConnectTimeout("_ssl.c:989: The handshake operation timed out"), Unreachable, "in time"),
        (httpx.ReadTimeout("timed out"), Unreachable, "does not answer in time"),
        (httpx.RemoteProtocolError("Server disconnected without sending a response."), doubt.Broken, "broke off"),
        (
            httpx.RemoteProtocolError("peer closed connection without sending complete message body (incomplete read)"),
            doubt.Broken,
            "broke off",
        ),
        (httpx.ReadError("[Errno 104] Connection reset by peer"), doubt.Broken, "broke off"),
        (httpx.RemoteProtocolError("illegal status line: bytearray(b'SSH-2.0')"), Unreachable, "does not speak HTTP"),
        (httpx.DecodingError("Error -3 while decompressing"), Unreachable, "does not speak HTTP"),
        (httpx.ProxyError("403 Forbidden"), trouble.NotDone, "HTTPS_PROXY"),
    ],
)
def test_a_request_without_an_answer_is_told_by_its_cause(
    error: Exception, kind: type[Unreachable], words: str
) -> None:
    found = trouble.of_failure(error, WHERE)
    assert type(found) is kind
    assert words in str(found)


def test_what_is_no_json_although_it_should_be() -> None:
    assert "web page" in str(trouble.no_json(b"\n<!DOCTYPE HTML><html>", WHERE, ASKED))
    assert "half an answer" in str(trouble.no_json(b'{"runs": [', WHERE, ASKED))


@pytest.mark.parametrize(
    "body", [{"runs": {"a": 1}}, {"runs": [None]}, {"runs": [[1]]}, {"run": []}, {"metrics": "none"}]
)
def test_json_of_another_shape_is_told(body: dict[str, object]) -> None:
    with pytest.raises(BackendError, match="not MLflow's"):
        Answer(body, WHERE, ASKED)
    with pytest.raises(BackendError, match="no registered_model"):
        Answer({}, WHERE, ASKED)["registered_model"]


@pytest.mark.parametrize(
    "found",
    [
        {"info": None},
        {"info": []},
        {"data": {"tags": [1]}},
        {"data": {"tags": {"a": "b"}}},
        {"data": {"metrics": [{}]}},
        {"data": {"metrics": [{"key": "a", "value": "much"}]}},
        {"inputs": {"dataset_inputs": 7}},
    ],
)
def test_a_run_of_another_shape_is_told(found: dict[str, object]) -> None:
    with pytest.raises(BackendError, match="not MLflow's"):
        decode.run(found, "default")


# ---------------------------------------------------------------- what a change's error says of the change


def test_a_change_that_was_not_made_says_so_and_when_to_repeat_it() -> None:
    made = doubt.nothing_done(trouble.of_failure(httpx.ConnectError("Connection refused"), WHERE))
    assert isinstance(made, trouble.NotDone)
    assert str(made).endswith("nothing was changed. Try again later")
    turned = doubt.nothing_done(trouble.TurnedAway("do this first"))
    assert (type(turned), str(turned)) == (trouble.TurnedAway, "do this first; nothing was changed")


def test_a_change_that_perhaps_was_made_says_to_look_first() -> None:
    found = doubt.perhaps_done(Unreachable("it hangs; try again later", 5, 3))
    assert (found.retry_at, found.since) == (5, 3)
    assert str(found).startswith("it hangs; whether the change was made cannot be told. Look again")


# ---------------------------------------------------------------- addresses and options


@pytest.mark.parametrize(
    "url",
    [
        "mlflow+https://host:port", "mlflow+https://[half", "mlflow+https://host:99999", "mlflow+https://host/?t=hunter2",
        "mlflow+https://host/#hunter2", "mlflow+https://ho st/hunter2", "mlflow+https://ann:hunter2@host",
        "mlflow+https://host/\x1b]0;hunter2", "mlflow+ftp://hunter2",
    ],
)  # fmt: skip
def test_a_wrong_address_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked_address(url)
    assert "hunter2" not in str(caught.value)


def test_a_right_address_is_kept() -> None:
    assert checked_address("mlflow+https://host:8443/team/mlflow/") == "https://host:8443/team/mlflow"


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "inf", "1e9"])
def test_a_wrong_time_limit_is_refused(said: str) -> None:
    with pytest.raises(Invalid, match="number of seconds"):
        patience_of({"timeout": said})


def test_a_workspace_that_no_header_can_say_is_refused() -> None:
    with pytest.raises(Invalid):
        check_workspace({"workspace": "team\r\nX-Evil: 1"})


def test_certificates_that_cannot_be_read_are_told_by_their_option(tmp_path: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    for file in (tmp_path / "away.pem", broken):
        sender = Sender("https://host", login=Login(), options={"ca_file": str(file)})
        with pytest.raises(Invalid, match="ca_file") as caught:
            sender._http()
        assert not isinstance(caught.value.__cause__, ssl.SSLError)


def test_a_token_that_no_header_can_say_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "gehe\u00edm-hunter2")
    sender = Sender("https://host", login=Login(env="A_TOKEN"), options={})
    with pytest.raises(Unauthorized, match="beyond ASCII") as caught:
        sender._headers(None, None)
    assert "hunter2" not in repr(caught.value)

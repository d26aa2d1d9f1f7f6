"""A real server that answers by onnxruntime: light, the same answers, and scikit-learn where a version has no ONNX."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from backends.contract import Backend, Refused
from backends.entities import GateStatus
from backends.local import open_local
from console.serving.engine import with_onnx
from console.serving.fetched import fetch_version
from console.serving.onnx.convert import convert_version
from console.serving.onnx.facts import FILE, KIND, RECORD, passed, sentence
from console.serving.onnx.parity import rows_from
from console.serving.spec import ServingSpec, Target
from tests.integration.test_serving import BAD
from tests.integration.test_serving import ROW as BAD_ROW
from tests.serving import WHO, Served, fitted, json_rows, keep_version, labels, point, rows, serving, start, until

pytest.importorskip("onnxruntime", reason="onnxruntime comes with the test extra")
pytest.importorskip("skl2onnx", reason="skl2onnx comes with the test extra")

FRAME = rows(300)
ROW: dict[str, Any] = json_rows(FRAME.head(1))[0]
HEAVY = ("sklearn", "pandas", "scipy", "skops", "pyarrow", "onnx", "skl2onnx")


def kept(backend: Backend, folder: Path, estimator: Any, *, onnx: bool) -> Any:
    """The fitted pipeline of a new version."""
    pipeline = fitted(FRAME, labels(FRAME), estimator)
    version = keep_version(backend, folder, pipeline, FRAME)
    if onnx:
        report = convert_version(
            backend, "parcels", version.version, WHO, rows=lambda file: rows_from(FRAME, file.features)
        )
        assert report.status is GateStatus.PASS
    return pipeline


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Backend, Path, list[Any]]]:
    """Versions 1 and 2 with ONNX, 3 without."""
    home = tmp_path_factory.mktemp("onnx")
    backend = open_local(home / "workspace")
    pipelines = [
        kept(backend, home / "1", HistGradientBoostingClassifier(max_iter=10), onnx=True),
        kept(backend, home / "2", LogisticRegression(max_iter=200), onnx=True),
        kept(backend, home / "3", HistGradientBoostingClassifier(max_iter=5), onnx=False),
    ]
    point(backend, "champion", "1")
    yield backend, home, pipelines
    backend.close()


@pytest.fixture(scope="module")
def served(made: tuple[Backend, Path, list[Any]]) -> Iterator[Served]:
    backend, home, _ = made
    with serving(backend, home / "server", workers=2) as running:
        yield running


def engine(served: Served) -> str:
    return served.state().targets[0].engine


def modules_of(pid: int) -> str:
    """What the process has mapped: libraries that it imported."""
    return Path(f"/proc/{pid}/maps").read_text()


def test_it_answers_by_onnxruntime_and_imports_nothing_heavy(served: Served) -> None:
    assert engine(served) == "onnx"
    for worker in served.state().workers:
        mapped = modules_of(worker.pid)
        assert "onnxruntime" in mapped
        for name in ("sklearn", "pandas", "scipy", "pyarrow"):
            assert f"site-packages/{name}/" not in mapped, name
        assert worker.rss < 150 << 20


def test_every_form_of_rows_gets_the_models_own_answer(served: Served, made: tuple[Backend, Path, list[Any]]) -> None:
    pipeline = made[2][0]
    some = FRAME.head(20)
    records = json_rows(some)
    table = [list(each.values()) for each in records]
    forms: list[dict[str, Any]] = [
        {"dataframe_records": records},
        {"dataframe_split": {"columns": list(ROW), "data": table}},
        {"instances": records},
        {"instances": table},
        {"inputs": {name: [each[name] for each in records] for name in ROW}},
    ]
    for form in forms:
        assert served.http.post("/invocations", json=form).json()["predictions"] == pipeline.predict(some).tolist()
    csv = some.to_csv(index=False).encode()
    answer = served.http.post("/invocations", content=csv, headers={"content-type": "text/csv"})
    assert answer.json()["predictions"] == pipeline.predict(some).tolist()
    asked = {"dataframe_records": records, "params": {"predict_method": "predict_proba"}}
    told = served.http.post("/invocations", json=asked).json()["predictions"]
    np.testing.assert_allclose(told, pipeline.predict_proba(some), atol=1e-12)
    tensors = [
        {"name": name, "shape": [20], "datatype": kind, "data": [each[name] for each in records]}
        for name, kind in zip(ROW, ("FP64", "INT64", "BOOL", "BYTES", "BYTES"), strict=True)
    ]
    outputs = served.http.post("/v2/models/parcels/infer", json={"inputs": tensors}).json()["outputs"]
    assert outputs[0]["data"] == pipeline.predict(some).tolist()
    np.testing.assert_allclose(outputs[1]["data"], pipeline.predict_proba(some)[:, 1], atol=1e-12)
    for record in records[:5]:
        alone = served.ask(record)
        assert alone.headers["x-model-version"] == "1"


def test_a_version_without_onnx_is_answered_for_by_scikit_learn_and_that_is_said(
    served: Served, made: tuple[Backend, Path, list[Any]]
) -> None:
    served.set_targets(Target(version="3")).raise_for_status()
    assert engine(served) == "sklearn"
    assert "v3 is answered for by scikit-learn: it has no ONNX file" in served.log
    assert "mlops-console model export parcels 3 --onnx" in served.log
    assert served.ask(ROW).json()["predictions"] == made[2][2].predict(FRAME.head(1)).tolist()
    served.set_targets(Target(version="2")).raise_for_status()
    assert engine(served) == "onnx"
    assert served.ask(ROW).json()["predictions"] == made[2][1].predict(FRAME.head(1)).tolist()
    served.set_targets(Target(alias="champion")).raise_for_status()


def test_onnx_alone_refuses_a_version_that_has_none_and_says_the_command(
    served: Served, made: tuple[Backend, Path, list[Any]], tmp_path: Path
) -> None:
    said = {"id": "x", "place": served.spec.place, "model": "parcels", "engine": "onnx"}
    process, line, _ = start(ServingSpec(**said, targets=(Target(version="3"),)), tmp_path)
    assert line["ready"] is False
    assert "it has no ONNX file" in line["error"]
    assert "mlops-console model export parcels 3 --onnx" in line["error"]
    assert process.wait(120) == 1


def test_a_damaged_onnx_file_leaves_the_old_version_serving_and_says_so(
    made: tuple[Backend, Path, list[Any]], tmp_path: Path
) -> None:
    backend, home, _ = made
    kept(backend, home / "4", LogisticRegression(C=0.1), onnx=True)
    latest = backend.need("registry").get("parcels").latest
    run = backend.need("registry").version("parcels", latest).run
    path = backend.need("artifacts").open(run, FILE)
    path.chmod(0o600)
    path.write_bytes(b"no ONNX at all")
    with serving(backend, tmp_path, engine="onnx") as strict:
        answer = strict.set_targets(Target(version=latest))
        assert answer.status_code == 409
        assert "not the one that was held against the model" in answer.json()["message"]
        assert strict.ask(ROW).headers["x-model-version"] == "1"
        point(backend, "champion", latest)
        until(lambda: strict.state().targets[0].state == "kept", what="the refusal")
        assert strict.ask(ROW).headers["x-model-version"] == "1"
    with serving(backend, tmp_path / "auto", targets=(Target(version=latest),)) as lenient:
        assert engine(lenient) == "sklearn"
        assert "not the one that was held against the model" in lenient.log
    point(backend, "champion", "1")


def test_an_onnx_file_of_another_model_file_is_not_taken(made: tuple[Backend, Path, list[Any]]) -> None:
    backend = made[0]
    file = fetch_version(backend, "parcels", "1")
    report = backend.need("reports").latest(KIND, "parcels@1")
    assert passed(report, file.sha256) is not None
    assert passed(report, "0" * 64) is None
    assert sentence(report, "0" * 64) == "made of another model file"
    other = type(file)(**{name: getattr(file, name) for name in file.__struct_fields__} | {"sha256": "0" * 64})
    assert with_onnx(backend, other, "auto").onnx is None
    with pytest.raises(Refused, match="made of another model file"):
        with_onnx(backend, other, "onnx")
    kept_files = [each.path for each in backend.need("artifacts").list(file.run)]
    assert FILE in kept_files
    assert RECORD in kept_files


def test_loading_for_onnx_imports_nothing_heavy(made: tuple[Backend, Path, list[Any]], tmp_path: Path) -> None:
    backend = made[0]
    file = with_onnx(backend, fetch_version(backend, "parcels", "1"), "onnx")
    (tmp_path / "file.json").write_bytes(msgspec.json.encode(file))
    script = (
        "import sys, json, msgspec\n"
        "import console.serving.worker\n"
        "from console.serving.engine import load_version\n"
        "from console.serving.fetched import VersionFile\n"
        "from console.serving.invocations import Call\n"
        f"file = msgspec.json.decode(open({str(tmp_path / 'file.json')!r}, 'rb').read(), type=VersionFile)\n"
        "loaded, why = load_version(file, 'onnx')\n"
        f"loaded.answer(Call('instances', [{ROW!r}]).rows(loaded.shape))\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)
    found = json.loads(done.stdout)
    assert not [name for name in found if name.split(".")[0] in HEAVY]


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_as_by_scikit_learn(served: Served, name: str) -> None:
    body, status, field = BAD[name]
    if isinstance(body, dict):
        body = json.dumps(body if set(body) - set(BAD_ROW) - {"colour"} else {"dataframe_records": [body]}).encode()
    answer = served.http.post("/invocations", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    if field:
        assert answer.json()["field"] == field
    assert served.ask(ROW).status_code == 200


def raw(served: Served, *sent: bytes) -> bytes:
    """What comes back until the server closes."""
    host, _, port = served.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=60) as line:
        got = b""
        # What is sent beyond what a server reads resets the line as it closes; what it said before has come by then.
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            for each in sent:
                line.sendall(each)
                if b"100-continue" in each:
                    got += line.recv(1000)
        with contextlib.suppress(ConnectionResetError):
            while part := line.recv(65_536):
                got += part
        return got


JSON_ROW = json.dumps({"dataframe_records": [ROW]}).encode()
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CLOSE = b"Connection: close\r\n"


def test_a_body_in_pieces_and_one_that_is_asked_for_are_taken(served: Served) -> None:
    size = f"Content-Length: {len(JSON_ROW)}\r\n\r\n".encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (JSON_ROW[:9], JSON_ROW[9:], b""))
    assert b" 200 " in raw(served, HEAD + CLOSE + b"Transfer-Encoding: chunked\r\n\r\n" + pieces)
    said = raw(served, HEAD + CLOSE + b"Expect: 100-continue\r\n" + size, JSON_ROW)
    assert said.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    whole = HEAD + CLOSE + size + JSON_ROW
    assert b" 200 " in raw(served, *(whole[at : at + 1] for at in range(len(whole))))


def test_several_requests_at_once_are_answered_in_their_order(served: Served) -> None:
    many = json.dumps({"dataframe_records": json_rows(FRAME)}).encode()  # from a thread: the ones behind it wait
    asked = b""
    for number, body in enumerate((JSON_ROW, many, JSON_ROW, JSON_ROW)):
        last = CLOSE if number == 3 else b""
        asked += HEAD + last + f"X-Request-Id: n{number}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    said = raw(served, asked)
    assert re.findall(rb"x-request-id: (n\d)", said) == [b"n0", b"n1", b"n2", b"n3"]
    assert said.count(b"HTTP/1.1 200 ") == 4


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"no HTTP at all\r\n\r\n", b"400"),
        (HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}", b"400"),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400"),
        (HEAD + b"X-Long: " + b"x" * 100_000 + b"\r\n\r\n", b"431"),
        (HEAD + CLOSE + b"Expect: 100-contin\r\nContent-Length: 2\r\n\r\n{}", b"400"),
        (HEAD + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n", b"413"),
        (HEAD + CLOSE + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", b"415"),
        (b"HEAD /ping HTTP/1.1\r\nHost: x\r\n" + CLOSE + b"\r\n", b"200"),
        (b"GET /ping HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", b"200"),
    ],
)  # fmt: skip
def test_odd_requests_are_answered_and_the_server_lives(served: Served, sent: bytes, status: bytes) -> None:
    assert raw(served, sent).startswith(b"HTTP/1.1 " + status)
    assert served.ask(ROW).status_code == 200


def test_a_hundred_megabytes_are_refused_and_not_kept(served: Served) -> None:
    before = max(each.rss for each in served.state().workers)
    answer = served.http.post("/invocations", content=b" " * (100 << 20), headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert max(each.rss for each in served.state().workers) < before + (40 << 20)

"""The files of a container context: the program's modules that serving needs, a Dockerfile without root, a manifest
that agrees with itself."""

from __future__ import annotations

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions
from typing import Any

import pytest

from backends.entities import ModelVersion
from console.serving.deployment.context import label, pinned
from console.serving.deployment.program import inside, modules
from console.serving.deployment.texts import DOCKERFILE, MANIFEST
from console.serving.release import VARIABLE, release

yaml = pytest.importorskip("yaml", reason="yaml comes with mlflow, of the test extra")


def test_only_what_serving_needs_is_copied() -> None:
    found = modules()
    assert {"console.serving.worker", "console.training.columns", "backends.local.database", "backends"} <= set(found)
    rooms = {".".join(name.split(".")[:2]) for name in found}
    assert not {"console.tui", "console.cli", "console.agent", "console.monitoring", "console.data"} & rooms
    assert str(inside("console.serving", found["console.serving"])) == "console/serving/__init__.py"


def test_what_the_copied_modules_import_at_once_is_pinned() -> None:
    pins = {pin.partition("==")[0] for pin in pinned(ModelVersion(model="m", version="1", run="r", created_at=0))}
    owners = packages_distributions()
    for name, path in modules().items():
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            wanted = (
                [each.name for each in node.names] if isinstance(node, ast.Import)
                else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            )  # fmt: skip
            for package in {each.partition(".")[0] for each in wanted} - sys.stdlib_module_names:
                if package not in ("backends", "console"):
                    owned = {re.sub(r"[-_.]+", "-", each).lower() for each in owners[package]}
                    assert owned & pins, f"{name} imports {package}, which is not pinned"


def test_the_image_is_built_and_run_without_root() -> None:
    lines = re.sub(r"\\\n\s*", " ", DOCKERFILE.replace("@python@", "3.11").replace("@port@", "8080")).splitlines()
    steps = [tuple(line.split(None, 1)) for line in lines if line]
    words = [word for word, _ in steps]
    assert words[0] == "FROM"
    assert steps[0][1] == "python:3.11-slim"
    assert set(words) <= {"FROM", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "STOPSIGNAL", "CMD"}
    assert words.index("USER") < words.index("CMD")
    assert dict(steps)["USER"] == "10001"
    assert json.loads(dict(steps)["CMD"]) == ["python", "start.py"]
    health = dict(steps)["HEALTHCHECK"].partition("CMD ")[2]
    compile(json.loads(health)[2], "health", "exec")
    copied = {word for word, rest in steps if word == "COPY" for word in rest.split()[:-1] if not word.startswith("--")}
    assert copied == {"requirements.txt", "program", "workspace", "spec.json", "start.py"}


def test_the_manifest_agrees_with_itself() -> None:
    text = MANIFEST
    for key, value in {"name": label("Churn Model"), "image": "churn:v7", "version": "v7", "port": "8080"}.items():
        text = text.replace(f"@{key}@", value)
    assert "@" not in text
    deployment, service = yaml.safe_load_all(text)
    assert (deployment["apiVersion"], deployment["kind"]) == ("apps/v1", "Deployment")
    assert (service["apiVersion"], service["kind"]) == ("v1", "Service")
    template: dict[str, Any] = deployment["spec"]["template"]
    labels = template["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    pod = template["spec"]
    (container,) = pod["containers"]
    ports = {each["name"] for each in container["ports"]}
    assert {each["targetPort"] for each in service["spec"]["ports"]} <= ports
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    secured = container["securityContext"]
    assert (secured["allowPrivilegeEscalation"], secured["readOnlyRootFilesystem"]) == (False, True)
    assert secured["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    volumes = {each["name"]: each for each in pod["volumes"]}
    assert {each["name"] for each in container["volumeMounts"]} == set(volumes)
    assert volumes["token"]["secret"]["secretName"] == "churn-model-token"
    assert volumes["token"]["secret"]["defaultMode"] == 0o440


def test_a_program_that_is_copied_and_not_installed_says_its_release(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import PackageNotFoundError

    def absent(_name: str) -> str:
        raise PackageNotFoundError

    monkeypatch.setattr("importlib.metadata.version", absent)
    assert release() == "unknown"
    monkeypatch.setenv(VARIABLE, "1.2.3")
    assert release() == "1.2.3"

"""A container build context: the server with one version of a model, and nothing that it does not need.

The folder holds the program's own modules, one workspace with this version alone, the packages pinned to what they are
here (those that the model was made with to what they were then), a start that takes the token from a mounted secret, a
Dockerfile without root, and a Kubernetes manifest. It runs without a container too: `python start.py` in a venv made
from its requirements.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from backends.contract import Backend, Invalid, Mutation, NotFound, Refused
from backends.entities import ModelVersion, Record, Report, RunStatus
from backends.mlmodel import with_package
from console.model_meta import META
from console.serving.deployment.program import inside, modules
from console.serving.deployment.texts import DOCKERFILE, DOCKERIGNORE, MANIFEST, START
from console.serving.onnx.facts import FILE as ONNX_FILE
from console.serving.onnx.facts import KIND as ONNX
from console.serving.onnx.facts import command, passed, sentence
from console.serving.release import release
from console.serving.spec import ServingSpec, Target

ROOTS: Final = ("numpy", "msgspec", "psutil", "httptools", "platformdirs")
"""What the server imports; what they need comes along."""
OF_ENGINE: Final = {"sklearn": ("scikit-learn", "skops", "pandas", "scipy"), "onnx": ("onnxruntime",)}
MADE_WITH: Final = ("scikit-learn", "numpy", "scipy", "skops", "joblib")
"""A model file is read as it was written only by the same of these."""
PORT: Final = 8080
FIRST_PLACEHOLDERS: Final = 5_000
"""The version keeps its number; higher ones are too many to count up to."""


class Built(Record, frozen=True, kw_only=True):
    """What was written."""

    directory: str
    model: str
    version: str
    image: str
    build: str
    """The command that makes the image."""
    run: str
    """The command that runs it on this machine."""
    files: tuple[str, ...]
    pins: tuple[str, ...]


def build_context(
    backend: Backend, model: str, which: str, directory: Path, *, image: str = "", engine: str = "sklearn"
) -> Built:
    """Write the context of a version (a number, or `@alias`) for an engine, `sklearn` or `onnx`. Refused where
    there is something in the folder already or the engine has no file, NotFound where the version or its file is not
    there."""
    if directory.exists() and any(directory.iterdir()):
        raise Refused(f"{directory} is not empty; nothing was written. Name a folder that is new or empty.")
    version: ModelVersion = with_package(backend, backend.need("registry").version(model, which))
    if version.file.format != "skops" or not version.file.path:
        raise Refused(
            f"{version.model} v{version.version}: its model file is {version.file.format or 'not on record'}, and only "
            "skops files are served; nothing was written."
        )
    onnx = _onnx_of(backend, version) if engine == "onnx" else None
    directory.mkdir(parents=True, exist_ok=True)
    number = _with_store(backend, version, directory / "workspace", onnx)
    spec = ServingSpec(
        id=version.model,
        place="local:/app/workspace",
        model=version.model,
        targets=(Target(version=number),),
        host="0.0.0.0",  # noqa: S104 within the container; it is not reached without its token
        port=PORT,
        engine=engine,
        token_file="/tmp/token",  # noqa: S106, S108 where start.py puts it
        poll_seconds=3600.0,
    )
    pins = pinned(version, engine)
    name = image or label(version.model)
    tag = name if ":" in name.rpartition("/")[2] else f"{name}:v{version.version}"
    for path, text in {
        "spec.json": msgspec.json.format(msgspec.json.encode(spec), indent=1).decode(),
        "requirements.txt": "".join(f"{pin}\n" for pin in pins),
        "start.py": START.replace("@release@", release()),
        "Dockerfile": DOCKERFILE.replace("@python@", _python(version)).replace("@port@", str(PORT)),
        ".dockerignore": DOCKERIGNORE,
        "kubernetes.yaml": MANIFEST.replace("@name@", label(version.model)).replace("@image@", tag)
        .replace("@version@", label(f"v{version.version}")).replace("@port@", str(PORT)),
    }.items():  # fmt: skip
        (directory / path).write_text(text, encoding="utf-8")
    _with_program(directory)
    return Built(
        directory=str(directory.absolute()),
        model=version.model,
        version=version.version,
        image=tag,
        build=f"docker build -t {tag} {_quoted(str(directory))}",
        run=f"docker run --rm -p {PORT}:{PORT} -v /path/of/token:/run/secrets/token:ro {tag}",
        files=tuple(sorted(str(path.relative_to(directory)) for path in directory.iterdir())),
        pins=pins,
    )


def _onnx_of(backend: Backend, version: ModelVersion) -> Report:
    """The report on its ONNX file. Refused where there is none that answers as the model does."""
    report = backend.reports.latest(ONNX, version.ref) if backend.reports is not None else None
    if report is None or passed(report, version.file.sha256) is None:
        why = sentence(report, version.file.sha256) or "nobody made one"
        raise Refused(
            f"{version.ref} has no ONNX file to pack ({why}); nothing was written. Make it: "
            f"{command(version.model, version.version)}"
        )
    return report


def pinned(version: ModelVersion, engine: str = "sklearn") -> tuple[str, ...]:
    """`name==version` of all that the server needs, by name."""
    from importlib.metadata import version as installed

    made_with: dict[str, str] = {
        name: version.file.libraries[name] for name in MADE_WITH if name in version.file.libraries
    }
    return tuple(
        f"{name}=={made_with[name] if name in made_with else installed(name)}"
        for name in sorted(_closure((*ROOTS, *OF_ENGINE[engine])))
    )


def _closure(roots: Sequence[str]) -> set[str]:
    """The roots and everything that they need here, without extras."""
    from importlib.metadata import PackageNotFoundError, requires

    found: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = _canonical(waiting.pop())
        if name in found:
            continue
        try:
            needs = requires(name) or []
        except PackageNotFoundError:  # for another system or an older Python
            continue
        found.add(name)
        waiting += [match.group() for need in needs if (match := _needed(need)) is not None]
    return found


def _needed(requirement: str) -> re.Match[str] | None:
    """The name of a requirement that holds here, as far as can be told: extras are left out, what is not installed
    falls away."""
    _, _, marker = requirement.partition(";")
    return None if "extra" in marker else re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", requirement)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _python(version: ModelVersion) -> str:
    """`3.11`: of the model where it says, else ours."""
    import platform

    said = version.file.libraries.get("python", "") or platform.python_version()
    return ".".join(said.split(".")[:2])


def _with_store(backend: Backend, version: ModelVersion, home: Path, onnx: Report | None) -> str:
    """A workspace with this version alone, under its own number where it has one; with its ONNX file, if that is to
    answer."""
    from backends.connect import connect

    made = connect("container", f"local:{home}")
    try:
        who = Mutation("context", reason=f"{version.ref} of context {backend.name}")
        artifacts = backend.need("artifacts")
        run = made.need("runs").create(name=version.model, mutation=who)
        made.need("runs").start(run.id)
        path = artifacts.open(version.file.owner or version.run, version.file.path)
        made.need("artifacts").put(run.id, version.file.path, path)
        if version.file.path != META:
            try:
                made.need("artifacts").put(run.id, META, artifacts.open(version.run, META))
            except NotFound:
                pass  # a model that another program logged: its signature says what it takes
        if onnx is not None:
            made.need("artifacts").put(run.id, ONNX_FILE, artifacts.open(str(onnx.figures["run"]), ONNX_FILE))
        made.need("runs").end(run.id, RunStatus.FINISHED, exit_code=0)
        registry = made.need("registry")

        def register(file: object) -> str:
            new: ModelVersion = registry.register(
                version.model, run=run.id, file=file, signature=version.signature, mutation=who
            )
            return new.version

        file = msgspec.structs.replace(version.file, owner="")
        wanted = int(version.version) if version.version.isdecimal() else 1
        if wanted > FIRST_PLACEHOLDERS:
            raise Invalid(f"{version.ref}: a context keeps numbers up to {FIRST_PLACEHOLDERS}; it has a higher one.")
        for _ in range(wanted - 1):
            registry.delete_version(version.model, register(file), who)
        number = register(file)
        if onnx is not None:
            kept = msgspec.structs.replace(
                onnx, id="", subject=f"{version.model}@{number}",
                figures={**onnx.figures, "run": run.id},
            )  # fmt: skip
            made.need("reports").add(kept)
        return number
    finally:
        made.close()
        for rest in ("tmp", "runs"):
            shutil.rmtree(home / rest, ignore_errors=True)


def _with_program(directory: Path) -> None:
    """The program's own modules that serving needs: no screen, no command line, no agent."""
    for name, path in modules().items():
        target = directory / "program" / inside(name, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def label(name: str) -> str:
    """A name that container registries and Kubernetes take: letters, digits and dashes, 63 at most."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-")
    return plain if plain and plain[0].isalpha() else f"m-{plain}".strip("-")[:63]


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)

"""Converting in a process of its own: `python -m console.serving.onnx.worker URL ACTOR MODEL VERSION`.

URL names the backend.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec

from backends.connect import place_of
from backends.contract import Backend, BackendError, Mutation, Refused
from backends.entities import ModelVersion, Progress, Report
from console.offload import run_offloaded
from console.serving.onnx.facts import KIND, passed
from console.speaker import Speaker, speak_of

PACKAGES = ("onnx", "onnxruntime", "skl2onnx")


def export_onnx(
    backend: Backend,
    model: str,
    version: str,
    actor: str,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    cancel: Callable[[], bool] | None = None,
) -> Report:
    """The report on the version's ONNX file, made now, or before of this very model file. Blocking.

    Refused where the model has no ONNX form, where the packages are not installed, or where the backend takes no
    changes.
    """
    from importlib.util import find_spec

    found: ModelVersion = backend.need("registry").version(model, version)
    if backend.features.read_only:
        raise Refused(f"context {backend.name} is read only; the ONNX file of {found.ref} was not made.")
    report = backend.need("reports").latest(KIND, found.ref)
    facts = passed(report, found.file.sha256)
    if report is not None and facts is not None and _there(backend, facts.run, facts.sha256):
        kept: Report = report
        return kept
    absent = [name for name in PACKAGES if find_spec(name) is None]
    if absent:
        raise Refused(f"ONNX needs {', '.join(absent)}, which is not installed; pip install 'mlops-console[onnx]'")
    arguments = [place_of(backend), actor, model, found.version]
    said = run_offloaded("console.serving.onnx.worker", arguments, on_progress=on_progress, cancel=cancel)
    return msgspec.convert(said, Report)


def _there(backend: Backend, run: str, sha256: str) -> bool:
    from console.serving.onnx.facts import FILE

    try:
        return bool(backend.need("artifacts").verify(run, FILE, sha256))
    except BackendError:
        return False


def main(argv: list[str]) -> int:
    def work(backend: Backend, speaker: Speaker) -> Report:
        from console.serving.onnx.convert import convert_version

        return convert_version(backend, argv[2], argv[3], Mutation(actor=argv[1]), progress=speaker.progress)

    return speak_of(argv[0], work)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

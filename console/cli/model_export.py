"""`mlops-console model export`: a version's files for other programs, and its ONNX form."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from backends.entities import CheckResult, GateStatus, Report
from console.cli.exit import Exit
from console.cli.model import model
from console.cli.output import Col, narrate, print_table
from console.cli.verb import Invocation

RESULT_COLUMNS: list[Col[CheckResult]] = [
    Col("check", lambda item: item.check),
    Col("result", lambda item: item.status, state=True),
    Col("measured", lambda item: item.value),
    Col("wanted", lambda item: item.rule, widest=60),
]


@model.command("export")
@click.argument("name", metavar="MODEL")
@click.argument("version", default="@champion")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--onnx", is_flag=True, help="Make its ONNX form, and keep it beside the model.")
@click.pass_obj
def export(invocation: Invocation, name: str, version: str, folder: Path | None, onnx: bool) -> int:
    """Write the model files of VERSION (a number or @alias) into FOLDER, which is new, as they were registered.

    With --onnx the version is converted first, and asked for its held-out rows beside the model itself. Where both
    say the same, the ONNX file is kept with the version, and `deploy start --engine onnx` serves it without
    scikit-learn. Where they do not, nothing is kept, and the exit code is 1.
    """
    if folder is None and not onnx:
        raise click.UsageError("say where to (FOLDER), or what to make (--onnx)")
    found = invocation.need("registry").version(name, version)
    report = _converted(invocation, name, found.version) if onnx else None
    if report is not None and report.status is GateStatus.FAIL:
        invocation.show(report, lambda: _print(report))
        return Exit.FAILED
    written: tuple[str, ...] = ()
    if folder is not None:
        from console.serving.version_files import export_version

        written = export_version(invocation.backend, found, folder.expanduser().absolute())
    document = {"report": msgspec.to_builtins(report), "folder": str(folder or ""), "files": written}

    def human() -> None:
        if report is not None:
            _print(report)
        if folder is not None:
            narrate(f"{found.ref}: {', '.join(written)} in {folder}")

    invocation.show(document if folder is not None or report is None else report, human)
    return Exit.DONE


def _converted(invocation: Invocation, name: str, version: str) -> Report:
    from console.cli.follow import ProgressLine
    from console.serving.onnx.worker import export_onnx

    with ProgressLine() as line:
        return export_onnx(invocation.backend, name, version, invocation.mutation().actor, on_progress=line.follow)


def _print(report: Report) -> None:
    from console.serving.onnx.facts import sentence

    print_table(report.results, RESULT_COLUMNS)
    narrate(f"{report.subject}: {sentence(report, report.digest)}")

"""`mlops-console serve MODEL@ALIAS`: a model server in the foreground."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.deploy import engine_option
from console.cli.output import narrate, print_json
from console.cli.verb import Invocation, Verb
from console.safe import safe_text

if TYPE_CHECKING:
    from backends.contract import Backend
    from console.serving.spec import Target

CHAMPION = "champion"


@click.command("serve", cls=Verb)
@click.argument("model", metavar="MODEL[@ALIAS|@VERSION]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; others want a token.")
@click.option("--port", default=0, type=click.IntRange(0, 65_535), help="Port; 0 takes a free one.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes that answer.")
@engine_option
@click.option(
    "--token-file", default="", metavar="FILE", help="File of mode 0600 with the token that callers must send."
)
@click.option("--log", "folder", default="", metavar="DIR", help="Keep predictions there, as JSON lines.")
@click.option("--sample", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Share that is kept.")
@click.option("--redact", multiple=True, metavar="COLUMN", help="Never keep this column's values. Repeatable.")
@click.option("--admin", default="", metavar="PATH", help="Take commands on a unix socket there.")
@click.option("--ignore-extra", is_flag=True, help="Step over columns that the model does not know.")
@click.pass_obj
def serve(
    invocation: Invocation,
    model: str,
    host: str,
    port: int,
    workers: int,
    engine: str,
    token_file: str,
    folder: str,
    sample: float,
    redact: tuple[str, ...],
    admin: str,
    ignore_extra: bool,
) -> None:
    """Answer requests with the version that an alias names (champion where none is said), and follow it.

    MLflow's /invocations, the Open Inference Protocol under /v2, /schema, /metrics. Ctrl-C answers what came and ends.
    """
    import asyncio
    import tempfile

    import msgspec

    from backends.connect import place_of
    from console.serving.spec import LogSpec, ServingSpec, check_spec

    backend = invocation.backend
    name, target = _target(backend, model)
    spec = check_spec(
        ServingSpec(
            id=f"{name}-foreground",
            place=place_of(backend),
            context=backend.name,
            model=name,
            targets=(target,),
            host=host,
            port=port,
            workers=workers,
            engine=engine,
            token_file=str(Path(token_file).absolute()) if token_file else "",
            admin_socket=str(Path(admin).absolute()) if admin else "",
            log=LogSpec(folder=str(Path(folder).absolute()) if folder else "", sample=sample, redact=redact),
            ignore_extra=ignore_extra,
        )
    )

    def ready(url: str) -> None:
        if invocation.json:
            print_json({"ready": True, "url": url, "pid": os.getpid()})
        else:
            narrate(f"{safe_text(name)} {target.name} answers at {url}/invocations; Ctrl-C ends it")

    with tempfile.TemporaryDirectory(prefix="mlops-console-serve-") as private:
        path = Path(private) / "spec.json"
        path.write_bytes(msgspec.json.encode(spec))
        from console.serving.run import serve as run

        asyncio.run(run(spec, path, ready))


def _target(backend: Backend, words: str) -> tuple[str, Target]:
    """The model, and what of it is meant: an alias that it has, else a version."""
    from console.serving.spec import Target

    registry = backend.need("registry")
    name, at, which = words.rpartition("@")
    if not at:
        return words, Target(alias=CHAMPION)
    if which in registry.get(name).aliases:
        return name, Target(alias=which)
    return name, Target(version=registry.version(name, which.removeprefix("v")).version)

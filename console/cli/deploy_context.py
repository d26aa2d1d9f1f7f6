"""`mlops-console deploy context`: what a container is built from."""

from __future__ import annotations

from pathlib import Path

import click

from console.cli.deploy import deploy
from console.cli.output import narrate, print_lines
from console.cli.verb import Invocation


@deploy.command("context")
@click.argument("ref", metavar="DEPLOYMENT|MODEL@ALIAS")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option("--image", default="", metavar="NAME", help="Of the image; the model's name without it.")
@click.option(
    "--engine",
    type=click.Choice(["sklearn", "onnx"]),
    default="sklearn",
    help="What computes in it: onnx packs the version's ONNX file and onnxruntime, and no scikit-learn.",
)
@click.pass_obj
def context(invocation: Invocation, ref: str, directory: Path, image: str, engine: str) -> None:
    """Write a lean container build context into DIRECTORY: Dockerfile, pinned packages, the model, a Kubernetes
    manifest. Of a deployment it is the first target. Prints the command that builds it."""
    from backends.contract import NotFound
    from console.serving.deployment import change
    from console.serving.deployment.context import build_context

    try:
        found = invocation.need("deployments").get(ref)
        model, target = found.model, found.targets[0]
    except NotFound:
        model, target = change.parse_model(ref)
    which = f"@{target.alias}" if target.alias else target.version
    built = build_context(invocation.backend, model, which, directory, image=image, engine=engine)

    def say() -> None:
        print_lines(built.build)
        narrate(f"{built.model} v{built.version} in {built.directory}; it is started with\n{built.run}")

    invocation.show(built, say)

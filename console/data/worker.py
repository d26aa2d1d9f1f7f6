"""Data work in a process of its own: `python -m console.data.worker URL import|profile|rows|export …`.

URL names the backend (`local:/path`). Speaks the JSON lines of `console.speaker` on stdout.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from backends.contract import Backend, DatasetStore, Mutation
from console.speaker import Speaker, speak_of


def main(argv: list[str]) -> int:
    args = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _leave)  # so that what was begun is cleaned away

    def work(backend: Backend, speaker: Speaker) -> Any:
        args.backend = backend
        args.staging = backend.home / "tmp" if backend.home else None
        return args.work(backend.need("datasets"), args, speaker)

    return speak_of(args.url, work)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(143)


def _import(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.importing import import_origin
    from console.data.origin import ORIGIN, Origin

    return import_origin(
        datasets,
        msgspec.json.decode(os.environ.pop(ORIGIN), type=Origin),
        args.name,
        Mutation(actor=args.actor, reason=args.reason, key=args.key),
        progress=speaker.progress,
        note=args.note,
        parent=args.parent,
        staging=args.staging,
        onto=args.onto,
    )


def _profile(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.kept import profile_kept

    return profile_kept(datasets, args.backend.home, args.ref, progress=speaker.progress)


def _diff(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.diff import diff_versions

    return diff_versions(datasets, args.before, args.after, key=tuple(args.by), progress=speaker.progress)


def _rows(datasets: DatasetStore, args: argparse.Namespace, _speaker: Speaker) -> Any:
    from console.data.rows import read_rows

    return read_rows(datasets, args.ref, args.offset, args.limit)


def _export(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.export import export_version

    path = export_version(
        datasets,
        args.ref,
        Path(args.path),
        format=args.format or None,
        overwrite=args.overwrite,
        progress=speaker.progress,
    )
    return str(path)


def _bias(_datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.bias.examine import BiasJob, examine_version

    job = msgspec.json.decode(args.job, type=BiasJob)
    return examine_version(args.backend, job, Mutation(actor=args.actor), progress=speaker.progress)


def _check(_datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.checks.asked import check_as_asked
    from console.data.lean import spare_pandas

    spare_pandas()
    return check_as_asked(
        args.backend,
        args.ref,
        Mutation(actor=args.actor, reason=args.reason, key=args.key),
        file=Path(args.file) if args.file else None,
        use=args.use,
        keep=not args.unkept,
        progress=speaker.progress,
    )


def _suggest(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.lean import spare_pandas

    spare_pandas()
    from console.data.checks.suggest import suggest_checks

    return suggest_checks(datasets, args.ref, target=args.target, progress=speaker.progress)


def _transform(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.transform.job import TransformJob
    from console.data.transform.preview import preview_transform
    from console.data.transform.run import apply_transform, transform_version

    job = msgspec.json.decode(args.job, type=TransformJob)
    definitions = args.backend.need("definitions")
    if job.preview:
        what = job.use or job.recipe
        return preview_transform(datasets, definitions, job.ref, what, job.preview, staging=args.staging)
    mutation = Mutation(actor=args.actor, reason=args.reason, key=args.key)
    options = {"name": job.name, "staging": args.staging, "progress": speaker.progress}
    if job.use:
        return apply_transform(datasets, definitions, job.ref, job.use, mutation, **options)
    return transform_version(datasets, definitions, job.ref, job.recipe, mutation, **options)


def _define(datasets: DatasetStore, args: argparse.Namespace, _speaker: Speaker) -> Any:
    from console.data.features.apply import define_features
    from console.data.features.grammar import load_features

    mutation = Mutation(actor=args.actor, reason=args.reason, key=args.key)
    features = load_features(Path(args.path))
    definition, created = define_features(datasets, args.backend.need("definitions"), features, mutation)
    return {"definition": definition, "created": created}


def _features(datasets: DatasetStore, args: argparse.Namespace, speaker: Speaker) -> Any:
    from console.data.features.apply import apply_features
    from console.data.features.grammar import AppliedTo

    return apply_features(
        datasets,
        args.backend.need("definitions"),
        msgspec.json.decode(args.job, type=AppliedTo),
        Mutation(actor=args.actor, reason=args.reason, key=args.key),
        staging=args.staging,
        progress=speaker.progress,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="console.data.worker")
    parser.add_argument("url")
    verbs = parser.add_subparsers(required=True)
    add = verbs.add_parser("import")
    add.set_defaults(work=_import)
    add.add_argument("name")
    add.add_argument("--actor", required=True)
    for option in ("--reason", "--key", "--note", "--parent", "--onto"):
        add.add_argument(option, default="")
    profile = verbs.add_parser("profile")
    profile.set_defaults(work=_profile)
    profile.add_argument("ref")
    diff = verbs.add_parser("diff")
    diff.set_defaults(work=_diff)
    diff.add_argument("before")
    diff.add_argument("after")
    diff.add_argument("--by", action="append", default=[])
    rows = verbs.add_parser("rows")
    rows.set_defaults(work=_rows)
    rows.add_argument("ref")
    rows.add_argument("--offset", type=int, default=0)
    rows.add_argument("--limit", type=int, default=100)
    bias = verbs.add_parser("bias")
    bias.set_defaults(work=_bias)
    bias.add_argument("job")
    bias.add_argument("--actor", required=True)
    for verb, work, what in (
        ("transform", _transform, "job"), ("define", _define, "path"), ("features", _features, "job"),
    ):  # fmt: skip
        made = verbs.add_parser(verb)
        made.set_defaults(work=work)
        made.add_argument(what)
        made.add_argument("--actor", required=True)
        for option in ("--reason", "--key"):
            made.add_argument(option, default="")
    export = verbs.add_parser("export")
    export.set_defaults(work=_export)
    export.add_argument("ref")
    export.add_argument("path")
    export.add_argument("--format", default="")
    export.add_argument("--overwrite", action="store_true")
    check = verbs.add_parser("check")
    check.set_defaults(work=_check)
    check.add_argument("ref")
    check.add_argument("--actor", required=True)
    for option in ("--reason", "--key", "--file", "--use"):
        check.add_argument(option, default="")
    check.add_argument("--unkept", action="store_true")
    suggest = verbs.add_parser("suggest")
    suggest.set_defaults(work=_suggest)
    suggest.add_argument("ref")
    suggest.add_argument("--target", default="")
    return parser


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

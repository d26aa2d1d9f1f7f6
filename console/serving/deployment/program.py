"""The modules that a server needs, found by reading their imports: a container holds these and no others."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOTS: Final = ("console.serving.__main__", "console.serving.worker", "console.training.columns")
"""What is started, and what model files name: a pipeline holds the program's own first step."""
PACKAGES: Final = ("backends", "console")


def modules(roots: tuple[str, ...] = ROOTS) -> dict[str, Path]:
    """Name → file of the roots and everything of the program that they import, at once or when it is first needed.
    What only annotations need is left out."""
    found: dict[str, Path] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        path = None if name in found else _file_of(name)
        if path is None:
            continue
        found[name] = path
        above = name.rpartition(".")[0]
        waiting += [*_imported(ast.parse(path.read_text(encoding="utf-8"))), *([above] if above else [])]
    return found


def inside(name: str, path: Path) -> Path:
    """Where a module lies below the folder that its package lies in."""
    parts = name.split(".")
    return Path(*parts, "__init__.py") if path.name == "__init__.py" else Path(*parts).with_suffix(".py")


def _file_of(name: str) -> Path | None:
    import backends
    import console

    above = Path(str((backends if name.partition(".")[0] == "backends" else console).__file__)).parents[1]
    plain = above.joinpath(*name.split("."))
    for path in (plain.with_suffix(".py"), plain / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imported(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            for rest in node.orelse:
                yield from _imported(rest)
            return
        case ast.Import():
            yield from (each.name for each in node.names if _ours(each.name))
        case ast.ImportFrom(module=str(module), level=0) if _ours(module):
            yield module
            yield from (f"{module}.{each.name}" for each in node.names)  # a name may be a module
    for child in ast.iter_child_nodes(node):
        yield from _imported(child)


def _ours(name: str) -> bool:
    return name.partition(".")[0] in PACKAGES

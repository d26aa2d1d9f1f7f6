"""`clean`: what nothing names any more goes, what anything names stays; a preview removes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends.contract import Mutation
from backends.local import open_local
from console.data.importing import import_file

ANN = Mutation("ann@box")


def cli(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "console.launch", "--workspace", str(home), *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Two datasets of one content and one of another; of those that are deleted some content is still named."""
    home = tmp_path / "w"
    backend = open_local(home)
    datasets = backend.need("datasets")
    for name, text in (("kept", "a\n1\n"), ("twin", "a\n1\n"), ("gone", "b\n2\n3\n")):
        (tmp_path / f"{name}.csv").write_text(text)
        import_file(datasets, tmp_path / f"{name}.csv", name, ANN)
    datasets.delete("twin", ANN)
    datasets.delete("gone", ANN)
    backend.close()
    return home


def age(home: Path) -> None:
    """As if all had been written two hours ago."""
    before = time.time() - 7_200
    for file in [*home.glob("objects/*/*"), *home.glob("tmp/*")]:
        os.utime(file, (before, before))


def test_only_what_nothing_names_goes_and_the_preview_names_it(home: Path) -> None:
    (home / "tmp" / "draft").write_bytes(b"x" * 1_000)
    assert json.loads(cli(home, "clean", "--preview", "--json").stdout)["items"] == [], "all is of this hour"
    age(home)
    told = json.loads(cli(home, "clean", "--preview", "--json").stdout)
    assert sorted(each["why"] for each in told["items"]) == ["named by nothing", "never finished"]
    assert "would go" in cli(home, "clean", "--preview").stderr
    assert len(list(home.glob("objects/*/*"))) == 2
    done = json.loads(cli(home, "clean", "--json").stdout)
    assert (done["files"], done["bytes"] > 0) == (2, True)
    assert len(list(home.glob("objects/*/*"))) == 1
    assert not (home / "tmp" / "draft").exists()
    backend = open_local(home)
    assert backend.need("datasets").path("kept").is_file()
    backend.close()
    assert "nothing is left over" in cli(home, "clean", "--preview").stderr


def test_a_read_only_console_removes_nothing(home: Path) -> None:
    age(home)
    done = cli(home, "clean", "--read-only")
    assert (done.returncode, "read-only" in done.stderr) == (1, True)
    assert len(list(home.glob("objects/*/*"))) == 2

"""What is sent to a cluster: named by content, cut into bundles, put together again."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from backends.cluster import bundles
from backends.cluster.bundles import Bundle, Packer
from backends.cluster.jobside import lay_bundle
from backends.contract import Refused


def laid(found: list[Bundle], folder: Path) -> Path:
    """As a machine of the cluster has it."""
    for each in found:
        out = io.BytesIO()
        each.write(out)
        with zipfile.ZipFile(out) as archive:
            archive.extractall(folder / "there")
        lay_bundle(str(folder / "there" / each.name), str(folder / "job"))
    return folder / "job"


def test_a_large_file_is_cut_and_whole_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LARGEST", 1000)
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "big.bin").write_bytes(os.urandom(3500))
    (tmp_path / "from" / "exact.bin").write_bytes(os.urandom(2000))
    (tmp_path / "from" / "empty").touch()
    (tmp_path / "from" / "deep").mkdir()
    (tmp_path / "from" / "deep" / "run.sh").write_text("true\n")
    (tmp_path / "from" / "deep" / "run.sh").chmod(0o755)
    found = Packer().bundles({"work": str(tmp_path / "from")})
    assert all(sum(piece.size for piece in each.pieces) <= 1000 for each in found)
    work = laid(found, tmp_path) / "work"
    for name in ("big.bin", "exact.bin", "empty", "deep/run.sh"):
        assert (work / name).read_bytes() == (tmp_path / "from" / name).read_bytes()


def test_the_same_content_has_the_same_name_and_a_changed_byte_another(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text("x = 1\n")
    os.utime(tmp_path / "two" / "a.py", (1, 1))
    packer = Packer()
    first = [each.name for each in packer.bundles({"work": str(tmp_path / "one")})]
    assert first == [each.name for each in packer.bundles({"work": str(tmp_path / "two")})]
    (tmp_path / "one" / "a.py").write_text("x = 2\n")
    assert first != [each.name for each in packer.bundles({"work": str(tmp_path / "one")})]


def test_what_git_ignores_and_caches_stay_here(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").touch()
    (tmp_path / "a.py").touch()
    (tmp_path / "data.bin").touch()

    def names() -> set[str]:
        return {piece.name for each in Packer().bundles({"w": str(tmp_path)}) for piece in each.pieces}

    assert names() == {"w/a.py", "w/data.bin"}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text("*.bin\n")
    assert names() == {"w/a.py", "w/.gitignore"}


def test_too_much_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MOST", 10)
    (tmp_path / "a").write_bytes(b"x" * 11)
    with pytest.raises(Refused, match="gitignore"):
        Packer().bundles({"w": str(tmp_path)})

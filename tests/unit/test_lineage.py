"""Where things come from and go to, both ways, from anything; bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from backends.contract import Backend, Mutation, NotFound
from backends.entities import DatasetInput, DatasetVersion, ModelFile, Monitor, RunStatus, Signature
from backends.local import open_local
from console.cli.main import main
from console.lineage import Lineage, Node, lineage, tree_lines

BY = Mutation(actor="tester@here")


@pytest.fixture
def backend(tmp_path: Path) -> Iterator[Backend]:
    opened = open_local(tmp_path / "workspace")
    yield opened
    opened.close()


def version(backend: Backend, name: str, content: str, **more: Any) -> DatasetVersion:
    assert backend.home is not None
    path = backend.home / "file"
    path.write_text(content)
    found, _ = backend.need("datasets").add(
        name,
        path,
        digest=content.ljust(64, "-"),
        rows=3,
        columns=(),
        source=f"/data/{content}.csv",
        mutation=BY,
        **more,
    )
    return found


def run_on(backend: Backend, name: str, *inputs: DatasetVersion) -> str:
    runs = backend.need("runs")
    read = [DatasetInput(dataset=each.dataset, version=each.version, digest=each.digest) for each in inputs]
    run = runs.create(name=name, mutation=BY, inputs=read)
    runs.start(run.id)
    runs.end(run.id, RunStatus.FINISHED)
    return str(run.id)


def chain(backend: Backend) -> str:
    """raw, airports → clean → run → churn@1 champion, which a monitor watches."""
    raw, other = version(backend, "raw", "raw"), version(backend, "airports", "airports")
    clean = version(backend, "clean", "clean", parent=raw.ref, inputs=[other.ref], made_by="transform:tidy@3")
    run = run_on(backend, "fit", clean)
    registry = backend.need("registry")
    registry.register("churn", run=run, file=ModelFile(sha256="ab" * 32), signature=Signature(), mutation=BY)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=BY)
    backend.need("monitors").put(Monitor(name="watch", model="churn", alias="champion"), BY)
    return run


def said(nodes: tuple[Node, ...]) -> list[str]:
    return [f"{lead}{node.kind} {node.name}" for lead, node in tree_lines(nodes)]


def test_from_a_dataset_version_both_ways(backend: Backend) -> None:
    run = chain(backend)
    found = lineage(backend, "clean@1")
    assert said(found.up) == [
        "├─ definition transform:tidy@3",
        "├─ dataset raw@1",
        "│  └─ source /data/raw.csv",
        "└─ dataset airports@1",
        "   └─ source /data/airports.csv",
    ]
    assert said(found.down) == [
        f"└─ run fit {run[:8]}",
        "   └─ model churn@1",
        "      └─ alias churn@champion",
        "         └─ monitor watch",
    ]


def test_from_a_run_and_from_a_model_by_version_alias_or_name(backend: Backend) -> None:
    run = chain(backend)
    assert said(lineage(backend, run, down=False).up)[0] == "└─ dataset clean@1"
    by_version = lineage(backend, "churn@1")
    assert by_version == lineage(backend, "churn@champion") == lineage(backend, "model:churn")
    assert said(by_version.up)[:2] == [f"└─ run fit {run[:8]}", "   └─ dataset clean@1"]
    assert said(lineage(backend, "raw", up=False).down)[:2] == ["└─ dataset clean@1", f"   └─ run fit {run[:8]}"]


def test_what_is_gone_or_was_never_kept_here_is_named(backend: Backend) -> None:
    chain(backend)
    backend.need("datasets").delete("raw", BY)
    found = lineage(backend, "clean@1", down=False)
    assert [(n.name, n.detail) for n in found.up if n.name == "raw@1"] == [("raw@1", "no longer there")]
    elsewhere = backend.need("runs").create(
        name="theirs", mutation=BY, inputs=[DatasetInput(dataset="s3set", version="9f", digest="9f", source="s3://b/k")]
    )
    (node,) = lineage(backend, elsewhere.id, down=False).up
    assert (node.kind, node.name, node.detail) == ("dataset", "s3set@9f", "not kept here: s3://b/k")


def test_a_tree_is_cut_in_breadth_and_in_depth(backend: Backend) -> None:
    first = version(backend, "many", "base")
    for number in range(30):
        run_on(backend, f"r{number}", first)
    found = lineage(backend, first.ref, breadth=20)
    assert len(found.down) == 21
    assert found.down[-1].name == "… 10 more"
    last = first
    for number in range(12):
        last = version(backend, "line", f"step{number}", parent=last.ref)
    names = [node.name for _, node in tree_lines(lineage(backend, last.ref, down=False, depth=4).up)]
    assert names == ["line@11", "line@10", "line@9", "line@8", "…"]


def test_a_circle_is_not_followed_for_ever(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    one = version(backend, "a", "one", parent="b@1")
    two = version(backend, "b", "two", parent="a@1")
    assert {one.parent, two.parent} == {"a@1", "b@1"}
    (node,) = lineage(backend, "a@1", down=False).up
    assert (node.name, node.children[0].name) == ("b@1", "DatasetVersion a@1 again")


def test_without_a_capability_what_is_known_is_told_and_what_is_not_is_said(backend: Backend) -> None:
    chain(backend)
    bare = msgspec.structs.replace(backend, runs=None, missing={"runs": "this server keeps none"})
    found = lineage(bare, "clean@1")
    assert found.down == ()
    assert found.notes == ("runs: this server keeps none",)
    with pytest.raises(NotFound, match="no dataset version, model version or run"):
        lineage(bare, "nothing@4")


def test_the_command_gives_the_tree_as_json_and_as_text(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    chain(backend)
    place = ["--workspace", str(backend.home)]
    assert main(["lineage", "clean@1", "--json", *place]) == 0
    assert msgspec.convert(json.loads(capsys.readouterr().out), Lineage) == lineage(backend, "clean@1")
    assert main(["lineage", "churn@1", "--up", *place]) == 0
    shown = capsys.readouterr().out
    assert "   └─ dataset  clean@1  3 rows" in shown
    assert "made into" not in shown
    assert main(["dataset", "lineage", "clean", *place]) == 0
    assert "alias  churn@champion" in capsys.readouterr().out
    assert main(["lineage", "nothing", *place]) == 2

"""Definitions, reports and what is said of columns, as every backend or the store beside it keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Backend, DatasetStore, Invalid, Mutation, NotFound
from backends.entities import CheckResult, Column, ColumnType, GateStatus, Report


def test_a_definition_has_versions_and_the_same_text_is_the_same(backend: Backend, ann: Mutation) -> None:
    definitions = backend.need("definitions")
    first, made = definitions.put("checks", "flights", "a = 1", ann)
    assert (first.version, made, first.created_by) == ("1", True, ann.actor)
    assert definitions.put("checks", "flights", "a = 1", ann) == (first, False)
    second, made = definitions.put("checks", "flights", "a = 2", ann, state='{"mean": 3}')
    assert (second.version, made, second.state) == ("2", True, '{"mean": 3}')
    assert definitions.get("checks", "flights") == second
    assert definitions.get("checks", "flights@1") == first
    assert [each.version for each in definitions.versions("checks", "flights").items] == ["2", "1"]
    definitions.put("transform", "flights", "b = 1", ann)
    definitions.put("checks", "boats", "b = 1", ann)
    assert [each.ref for each in definitions.page("checks").items] == ["boats@1", "flights@2"]
    assert second.whole == "checks:flights@2"


def test_what_is_not_defined_is_told_with_what_is(backend: Backend, ann: Mutation) -> None:
    definitions = backend.need("definitions")
    definitions.put("checks", "flights", "a = 1", ann)
    with pytest.raises(NotFound, match="did you mean flights"):
        definitions.get("checks", "flihgts")
    with pytest.raises(NotFound, match="no version 7; its latest is 1"):
        definitions.get("checks", "flights@7")
    with pytest.raises(Invalid, match="cannot hold @"):
        definitions.put("checks", "a@b", "x", ann)
    definitions.delete("checks", "flights", ann)
    with pytest.raises(NotFound, match="there is no checks yet"):
        definitions.get("checks", "flights")


def test_reports_are_kept_newest_first(backend: Backend) -> None:
    reports = backend.need("reports")
    found = CheckResult(check="age range", kind="range", status=GateStatus.FAIL, failing=3, rows=10)
    first = reports.add(Report(kind="checks", subject="d@1", status=GateStatus.FAIL, at=1, results=(found,)))
    second = reports.add(Report(kind="checks", subject="d@1", status=GateStatus.PASS, at=2, figures={"n": 4}))
    reports.add(Report(kind="bias", subject="d@1", status=GateStatus.WARN, at=3))
    assert reports.latest("checks", "d@1") == second
    assert reports.latest("checks", "d@2") is None
    assert reports.page("checks", "d@1").items == (second, first)
    assert [each.kind for each in reports.page().items] == ["bias", "checks", "checks"]
    assert first.id != second.id


def test_what_a_column_means_holds_for_every_version(backend: Backend, ann: Mutation, tmp_path: Path) -> None:
    datasets: DatasetStore = backend.need("datasets")
    columns = [Column(name="delay", type=ColumnType.FLOAT)]

    def add(content: bytes) -> None:
        file = tmp_path / "file"
        file.write_bytes(content)
        datasets.add("d", file, digest=content.hex(), rows=1, columns=columns, source="x", mutation=ann)

    add(b"one")
    datasets.set_column("d", "delay", ann, unit="min")
    datasets.set_column("d", "delay", ann, note="gate to gate")
    add(b"two")
    for ref in ("d@1", "d@2"):
        (column,) = datasets.version(ref).columns
        assert (column.unit, column.note) == ("min", "gate to gate")
    assert {each.columns[0].unit for each in datasets.versions("d").items} == {"min"}
    with pytest.raises(NotFound, match="did you mean delay"):
        datasets.set_column("d", "dealy", ann, note="?")
    last = backend.need("journal").page().items[1]
    assert (last.action, last.target, last.after) == (
        "dataset.column",
        "d.delay",
        {"unit": "min", "note": "gate to gate"},
    )

"""A protected alias moves by promotion, rollback and undo, and by nothing else."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Refused
from backends.entities import AliasChange
from console.promotion.policy import FILE
from console.promotion.promote import promote
from console.promotion.protect import guarded
from console.promotion.rollback import rollback
from console.promotion.undo import undo, undoable
from tests.unit.registry import ME, version_of, workspace


@pytest.fixture
def backend(tmp_path, monkeypatch):
    """churn v1 was champion and v2 is; v3 holds nothing."""
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(tmp_path / "config.toml"))
    opened = workspace(tmp_path)
    for at in range(3):
        version_of(opened, tmp_path, content=f"model {at}".encode())
    promote(opened, "churn", "1", "champion", ME, expected=None)
    promote(opened, "churn", "2", "champion", ME, expected="1")
    (opened.home / FILE).write_text('[[promotion]]\nalias = "champion"\nprotected = true\n')
    yield guarded(opened)
    opened.close()


DEEDS = {
    "moved": lambda r: r.set_alias("churn", "champion", "3", expected="2", mutation=ME),
    "taken away": lambda r: r.set_alias("churn", "champion", None, expected="2", mutation=ME),
    "moved with others": lambda r: r.set_aliases(
        "churn",
        (
            AliasChange(alias="blue", version="1", expected=None),
            AliasChange(alias="champion", version="3", expected="2"),
        ),
        mutation=ME,
    ),
    "renamed with its model": lambda r: r.rename("churn", "churned", ME),
    "deleted with its version": lambda r: r.delete_version("churn", "2", ME),
    "deleted with its model": lambda r: r.delete("churn", ME),
}


@pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)
def test_nothing_goes_round_the_gates(backend, deed):
    with pytest.raises(Refused, match=f"champion of churn is protected.*{FILE}:1"):
        deed(backend.registry)
    assert backend.registry.get("churn").aliases == {"champion": "2"}


def test_promotion_rollback_and_undo_move_it(backend):
    assert promote(backend, "churn", "3", "champion", ME, expected="2").version == "3"
    assert rollback(backend, "churn", "champion", ME, expected="3").version == "2"
    assert undo(backend, undoable(backend, ME.actor), ME).version == "3"


def test_what_nobody_protects_is_moved_and_deleted(backend):
    assert backend.registry.set_alias("churn", "blue", "1", expected=None, mutation=ME).version == "1"
    backend.registry.delete_version("churn", "1", ME)


def test_an_alias_that_wants_approvals_is_protected_too(backend):
    strict = guarded(msgspec.structs.replace(backend, approvals=1))
    with pytest.raises(Refused, match="blue of churn is protected"):
        strict.registry.set_alias("churn", "blue", "1", expected=None, mutation=ME)


def test_no_model_takes_a_name_under_which_its_alias_were_protected(backend, tmp_path):
    (backend.home / FILE).write_text('[[promotion]]\nmodel = "prod-*"\nalias = "champion"\nprotected = true\n')
    with pytest.raises(Refused, match=r"champion of prod-churn is protected.*set by giving churn this name"):
        backend.registry.rename("churn", "prod-churn", ME)
    assert backend.registry.rename("churn", "churned", ME).aliases == {"champion": "2"}
    version_of(backend, tmp_path, model="fresh", content=b"fresh")
    assert backend.registry.rename("fresh", "prod-fresh", ME).name == "prod-fresh"

"""Read-only is a wrapper that knows every verb."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from backends import contract
from backends.contract import Mutation, Refused
from backends.local import open_local
from backends.readonly import CHANGING, READING, read_only

PROTOCOLS = {
    "datasets": contract.DatasetStore,
    "definitions": contract.DefinitionStore,
    "reports": contract.ReportStore,
    "experiments": contract.ExperimentStore,
    "runs": contract.RunStore,
    "logged_models": contract.LoggedModelStore,
    "artifacts": contract.ArtifactStore,
    "registry": contract.ModelRegistry,
    "journal": contract.Journal,
    "monitors": contract.MonitorStore,
    "deployments": contract.DeploymentStore,
    "triggers": contract.TriggerStore,
    "requests": contract.RequestQueue,
    "launcher": contract.Launcher,
    "retention": contract.RetentionStore,
    "metrics": contract.MetricSource,
}


def verbs(protocol: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(protocol, inspect.isfunction) if not name.startswith("_")}


def test_every_capability_of_a_backend_is_known() -> None:
    plain = {"name", "url", "features", "missing", "changed", "close", "home", "tracking", "approvals", "launches_on"}
    assert set(contract.Backend.__struct_fields__) - plain == set(PROTOCOLS) == set(READING) == set(CHANGING)


@pytest.mark.parametrize("capability", sorted(PROTOCOLS))
def test_every_verb_is_listed_as_reading_or_changing(capability: str) -> None:
    assert READING[capability] | CHANGING[capability] == verbs(PROTOCOLS[capability])
    assert not READING[capability] & CHANGING[capability]


@pytest.mark.parametrize("capability", sorted(PROTOCOLS))
def test_a_verb_that_takes_a_mutation_changes_something(capability: str) -> None:
    for verb in verbs(PROTOCOLS[capability]):
        if "mutation" in inspect.signature(getattr(PROTOCOLS[capability], verb)).parameters:
            assert verb in CHANGING[capability]


def test_changes_are_refused_and_reading_goes_on(tmp_path: Path) -> None:
    whole = open_local(tmp_path / "w")
    whole.need("runs").create(name="a", mutation=Mutation("ann@box"))
    reading = read_only(whole)
    assert reading.features.read_only
    assert reading.need("runs").count().value == 1
    before = whole.changed()
    for capability, changing in CHANGING.items():
        for verb in changing:
            with pytest.raises(Refused, match=f"{capability}.{verb} would change context local, which is read-only"):
                getattr(reading.need(capability), verb)()
    assert whole.changed() == before
    with pytest.raises(AttributeError):
        reading.need("runs").purge()
    whole.close()


def test_what_a_backend_lacks_stays_lacking(tmp_path: Path) -> None:
    import msgspec

    whole = open_local(tmp_path / "w")
    bare = msgspec.structs.replace(whole, launcher=None, missing={"launcher": "no engine here"})
    with pytest.raises(contract.Unsupported, match="no engine here"):
        read_only(bare).need("launcher")
    whole.close()

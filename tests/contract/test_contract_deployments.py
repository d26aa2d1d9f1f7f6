"""What every `DeploymentStore` promises."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Backend, Conflict, DeploymentStore, Invalid, Mutation, NotFound, Refused
from backends.entities import (
    Deployment,
    DeploymentState,
    DeploymentStatus,
    DeploymentWish,
    Guard,
    Served,
    Target,
)
from backends.query import DEPLOYMENT_FIELDS, parse

pytestmark = pytest.mark.needs("deployments")

SERVING = DeploymentStatus(
    state=DeploymentState.SERVING,
    since=5,
    url="http://127.0.0.1:8081",
    pid=7,
    served=(Served(target="champion", version="3", digest="ab", since=4),),
    revision=1,
)


@pytest.fixture
def deployments(backend: Backend, ann: Mutation) -> DeploymentStore:
    assert backend.deployments is not None
    backend.deployments.create(Deployment(name="live", model="churn"), ann)
    return backend.deployments


def test_a_deployment_is_made_with_what_the_store_says_of_it(deployments: DeploymentStore) -> None:
    made = deployments.get("live")
    assert (made.revision, made.created_by, made.desired, made.targets) == (
        1,
        "ann@box",
        DeploymentWish.SERVING,
        (Target(alias="champion"),),
    )
    assert made.created_at == made.changed_at > 0
    assert made.status == DeploymentStatus()


def test_a_name_is_taken_once(deployments: DeploymentStore, bob: Mutation) -> None:
    with pytest.raises(Conflict, match="ann@box"):
        deployments.create(Deployment(name="live", model="fraud"), bob)
    assert deployments.get("live").model == "churn"


def test_a_change_stands_and_counts(deployments: DeploymentStore, bob: Mutation) -> None:
    split = (
        Target(alias="champion", share=0.9),
        Target(alias="challenger", share=0.1),
        Target(version="4", shadow=True),
    )
    changed = deployments.change(
        msgspec.structs.replace(deployments.get("live"), targets=split, guard=Guard(requests=50), workers=3), bob
    )
    assert deployments.get("live") == changed
    assert (changed.revision, changed.created_by, changed.targets, changed.workers) == (2, "ann@box", split, 3)


def test_a_change_of_what_has_changed_is_a_conflict_that_says_by_whom(
    deployments: DeploymentStore, ann: Mutation, bob: Mutation
) -> None:
    seen = deployments.get("live")
    deployments.change(msgspec.structs.replace(seen, workers=2), bob)
    with pytest.raises(Conflict, match="bob@box"):
        deployments.change(msgspec.structs.replace(seen, workers=4), ann)
    assert deployments.get("live").workers == 2


def test_a_change_that_says_the_same_changes_nothing(deployments: DeploymentStore, bob: Mutation) -> None:
    seen = deployments.get("live")
    assert deployments.change(seen, bob) == seen


def test_what_was_seen_is_kept_beside_the_definition(deployments: DeploymentStore, ann: Mutation) -> None:
    assert deployments.observe("live", SERVING)
    assert not deployments.observe("live", SERVING)
    found = deployments.get("live")
    assert (found.status, found.revision, found.health) == (SERVING, 1, "ok")
    assert deployments.change(msgspec.structs.replace(found, workers=2), ann).status == SERVING
    trouble = (Served(target="champion", version="3", trouble="v4 does not load"),)
    deployments.observe("live", msgspec.structs.replace(SERVING, served=trouble))
    assert deployments.get("live").health == "warn"


def test_changes_are_journaled_and_what_was_seen_is_not(
    backend: Backend, deployments: DeploymentStore, bob: Mutation
) -> None:
    deployments.observe("live", SERVING)
    deployments.change(
        msgspec.structs.replace(deployments.get("live"), desired=DeploymentWish.STOPPED),
        msgspec.structs.replace(bob, action="deploy.stop"),
    )
    entries = [entry for entry in backend.need("journal").page().items if entry.action.startswith("deploy.")]
    assert [(entry.action, entry.actor, entry.target) for entry in entries] == [
        ("deploy.stop", "bob@box", "live"),
        ("deploy.start", "ann@box", "live"),
    ]
    assert (entries[0].before, entries[0].after) == ({"desired": "serving"}, {"desired": "stopped"})


def test_the_same_key_changes_once(deployments: DeploymentStore) -> None:
    keyed = Mutation("ann@box", key="k1")
    first = deployments.create(Deployment(name="other", model="fraud"), keyed)
    assert deployments.create(Deployment(name="other", model="fraud"), keyed) == first
    again = Mutation("ann@box", key="k2")
    changed = deployments.change(msgspec.structs.replace(first, workers=2), again)
    assert deployments.change(msgspec.structs.replace(first, workers=2), again) == changed
    assert changed.revision == 2


def test_only_what_is_stopped_can_be_deleted(deployments: DeploymentStore, ann: Mutation) -> None:
    deployments.observe("live", SERVING)
    with pytest.raises(Refused, match="Stop it first"):
        deployments.delete("live", ann)
    deployments.change(msgspec.structs.replace(deployments.get("live"), desired=DeploymentWish.STOPPED), ann)
    with pytest.raises(Refused):
        deployments.delete("live", ann)
    deployments.observe("live", DeploymentStatus())
    deployments.delete("live", ann)
    assert deployments.page().items == ()


def test_deployments_are_paged_and_filtered(deployments: DeploymentStore, ann: Mutation) -> None:
    for name in ("b", "a", "c"):
        deployments.create(Deployment(name=name, model="fraud"), ann)
    deployments.observe("live", SERVING)
    page = deployments.page(limit=2)
    assert [found.name for found in page.items] == ["a", "b"]
    assert [found.name for found in deployments.page(at=page.next or "", limit=2).items] == ["c", "live"]
    where = parse("state = serving and health = ok", DEPLOYMENT_FIELDS)
    assert [found.name for found in deployments.page(where).items] == ["live"]


def test_an_unknown_deployment_is_not_found(deployments: DeploymentStore, ann: Mutation) -> None:
    for call in (
        lambda: deployments.get("live2"),
        lambda: deployments.change(Deployment(name="live2", model="churn"), ann),
        lambda: deployments.delete("live2", ann),
        lambda: deployments.observe("live2", SERVING),
    ):
        with pytest.raises(NotFound, match="live2"):
            call()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"targets": ()}, "targets"),
        ({"targets": (Target(alias="a", version="1"),)}, "targets"),
        ({"targets": (Target(),)}, "targets"),
        ({"targets": (Target(alias="a", share=0.5),)}, "targets"),
        ({"targets": (Target(alias="a", share=0.5), Target(alias="a", share=0.5))}, "targets"),
        ({"targets": (Target(alias="a", shadow=True), Target(alias="b"))}, "targets"),
        ({"workers": 0}, "workers"),
        ({"port": 70_000}, "port"),
        ({"sample": 1.5}, "sample"),
        ({"name": " "}, "name"),
        ({"guard": Guard(alpha=0)}, "guard"),
        ({"guard": Guard(requests=0)}, "guard"),
    ],
)
def test_a_definition_that_cannot_be_is_invalid(
    deployments: DeploymentStore, ann: Mutation, wrong: dict[str, object], field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        deployments.create(msgspec.structs.replace(Deployment(name="new", model="churn"), **wrong), ann)
    assert raised.value.field == field

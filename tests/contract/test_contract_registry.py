"""What every `ModelRegistry` promises."""

from __future__ import annotations

import threading

import pytest

from backends.alias_changes import changes_in
from backends.contract import Backend, Conflict, Invalid, ModelRegistry, Mutation, NotFound
from backends.entities import (
    AliasChange,
    AliasMove,
    Column,
    ColumnType,
    DatasetInput,
    ModelFile,
    ModelVersion,
    Signature,
)
from backends.query import MODEL_FIELDS, parse

pytestmark = pytest.mark.needs("registry", "journal")


@pytest.fixture
def registry(backend: Backend) -> ModelRegistry:
    assert backend.registry is not None
    return backend.registry


def register(registry: ModelRegistry, mutation: Mutation, model: str = "churn", run: str = "r1") -> ModelVersion:
    return registry.register(model, run=run, file=ModelFile(sha256="a" * 64), signature=Signature(), mutation=mutation)


def test_a_version_comes_back_as_it_was_registered(registry: ModelRegistry, ann: Mutation) -> None:
    made = registry.register(
        "churn",
        run="r1",
        file=ModelFile(
            sha256="a" * 64, bytes=10, format="skops", path="model/model.skops", libraries={"skops": "0.16"}
        ),
        signature=Signature(inputs=(Column(name="age", type=ColumnType.INT),)),
        mutation=ann,
        metrics={"auc": 0.7, "loss": float("inf")},
        params={"lr": "1"},
        inputs=[DatasetInput(dataset="d", version="1", digest="d" * 64)],
        tags={"team": "red"},
        note="first",
    )
    assert (made.version, made.created_by) == ("1", "ann@box")
    assert registry.version("churn", "1") == made
    model = registry.get("churn")
    assert (model.versions, model.latest, model.aliases) == (1, "1", {})


def test_versions_count_up_and_come_newest_first(registry: ModelRegistry, ann: Mutation) -> None:
    for _ in range(12):
        register(registry, ann)
    page = registry.versions("churn", limit=5)
    assert [version.version for version in page.items] == ["12", "11", "10", "9", "8"]
    assert page.next is not None
    assert [version.version for version in registry.versions("churn", at=page.next, limit=5).items] == list("76543")


def test_models_are_paged_by_name_and_filtered(registry: ModelRegistry, ann: Mutation) -> None:
    for name in ("b", "a", "c"):
        register(registry, ann, model=name)
    assert [model.name for model in registry.page().items] == ["a", "b", "c"]
    assert [model.name for model in registry.page(parse("name != b order by name desc", MODEL_FIELDS)).items] == [
        "c",
        "a",
    ]


def test_registering_twice_with_one_key_makes_one_version(registry: ModelRegistry) -> None:
    once = Mutation("ann@box", key="k")
    assert register(registry, once) == register(registry, once)
    assert registry.get("churn").versions == 1


def test_a_key_serves_one_verb_only(registry: ModelRegistry) -> None:
    once = Mutation("ann@box", key="k")
    register(registry, once)
    with pytest.raises(Conflict):
        registry.set_alias("churn", "champion", "1", expected=None, mutation=once)


def test_an_alias_moves_from_where_it_was_expected(registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    register(registry, ann)
    first = registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    assert (first.version, first.previous, first.actor, first.reason) == ("1", None, "ann@box", "because")
    second = registry.set_alias("churn", "champion", "2", expected="1", mutation=ann)
    assert registry.version("churn", "@champion").version == "2"
    assert registry.version("churn", "2").aliases == ("champion",)
    assert registry.version("churn", "1").aliases == ()
    assert registry.get("churn").aliases == {"champion": "2"}
    assert registry.history("churn") == (second, first)


def test_a_conflict_says_who_moved_the_alias_and_when(registry: ModelRegistry, ann: Mutation, bob: Mutation) -> None:
    for _ in range(3):
        register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    registry.set_alias("churn", "champion", "2", expected="1", mutation=bob)
    with pytest.raises(Conflict, match=r"from v1 to v2 by bob@box at 20\d\d-.*UTC.*nothing was changed"):
        registry.set_alias("churn", "champion", "3", expected="1", mutation=ann)
    assert registry.version("churn", "@champion").version == "2"
    assert len(registry.history("churn")) == 2


def test_setting_an_alias_where_it_is_already_is_a_conflict(registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    with pytest.raises(Conflict, match="already"):
        registry.set_alias("churn", "champion", "1", expected="1", mutation=ann)
    with pytest.raises(Conflict):
        registry.set_alias("churn", "nowhere", None, expected=None, mutation=ann)


def test_the_same_key_gives_the_same_move(backend: Backend, registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    once = Mutation("ann@box", key="promote-1")
    move = registry.set_alias("churn", "champion", "1", expected=None, mutation=once)
    assert registry.set_alias("churn", "champion", "1", expected=None, mutation=once) == move
    assert len(registry.history("churn")) == 1


def test_an_alias_is_taken_away(registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    move = registry.set_alias("churn", "champion", None, expected="1", mutation=ann)
    assert (move.version, move.previous) == (None, "1")
    with pytest.raises(NotFound):
        registry.version("churn", "@champion")


@pytest.mark.parametrize("version", ["2", "0", "-1", "x", "", "٣", "9" * 30])
def test_an_alias_cannot_point_at_a_version_that_is_not_there(
    registry: ModelRegistry, ann: Mutation, version: str
) -> None:
    register(registry, ann)
    with pytest.raises(NotFound):
        registry.set_alias("churn", "champion", version, expected=None, mutation=ann)
    assert registry.history("churn") == ()


def test_an_unknown_model_is_not_found(registry: ModelRegistry, ann: Mutation) -> None:
    for call in (
        lambda: registry.get("x"),
        lambda: registry.versions("x"),
        lambda: registry.version("x", "1"),
        lambda: registry.version("x", "@champion"),
        lambda: registry.history("x"),
        lambda: registry.set_alias("x", "champion", "1", expected=None, mutation=ann),
        lambda: registry.set_note("x", "", "n", ann),
    ):
        with pytest.raises(NotFound):
            call()


def test_a_model_needs_a_name(registry: ModelRegistry, ann: Mutation) -> None:
    with pytest.raises(Invalid):
        register(registry, ann, model="")


def test_history_can_be_asked_for_one_alias(registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    registry.set_alias("churn", "challenger", "1", expected=None, mutation=ann)
    assert [move.alias for move in registry.history("churn", alias="challenger")] == ["challenger"]
    assert [move.alias for move in registry.history("churn", limit=1)] == ["challenger"]


def test_notes_and_tags_are_kept_on_models_and_versions(registry: ModelRegistry, ann: Mutation) -> None:
    register(registry, ann)
    registry.set_note("churn", "", "the model", ann)
    registry.set_note("churn", "1", "the version", ann)
    registry.set_tags("churn", "", {"a": "1"}, ann)
    registry.set_tags("churn", "1", {"b": "2", "c": "3"}, ann)
    registry.set_tags("churn", "1", {"b": None}, ann)
    assert (registry.get("churn").note, registry.get("churn").tags) == ("the model", {"a": "1"})
    version = registry.version("churn", "1")
    assert (version.note, version.tags) == ("the version", {"c": "3"})


def test_of_many_at_once_one_promotion_wins(backend: Backend, registry: ModelRegistry, ann: Mutation) -> None:
    for _ in range(8):
        register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    won: list[AliasMove] = []
    lost: list[Conflict] = []
    ready = threading.Barrier(7)

    def promote(version: int) -> None:
        ready.wait()
        try:
            move = registry.set_alias(
                "churn", "champion", str(version), expected="1", mutation=Mutation(f"user{version}@box")
            )
            won.append(move)
        except Conflict as error:
            lost.append(error)

    threads = [threading.Thread(target=promote, args=(version,)) for version in range(2, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 6)
    assert registry.version("churn", "@champion").version == won[0].version
    assert all(won[0].actor in str(error) for error in lost)
    assert backend.journal is not None
    assert backend.journal.verify()[1] == ""


# ---------------------------------------------------------------- several aliases at once


def to(alias: str, version: str | None, expected: str | None) -> AliasChange:
    return AliasChange(alias=alias, version=version, expected=expected)


@pytest.fixture
def three(registry: ModelRegistry, ann: Mutation) -> ModelRegistry:
    """churn with three versions: v1 is champion, v2 challenger."""
    for _ in range(3):
        register(registry, ann)
    registry.set_alias("churn", "champion", "1", expected=None, mutation=ann)
    registry.set_alias("churn", "challenger", "2", expected=None, mutation=ann)
    return registry


JOINT = (to("champion", "2", "1"), to("previous", "1", None), to("challenger", None, "2"))


def test_aliases_move_together_under_one_entry(backend: Backend, three: ModelRegistry, bob: Mutation) -> None:
    moves = three.set_aliases("churn", JOINT, mutation=bob)
    assert [(move.alias, move.version, move.previous) for move in moves] == [
        ("champion", "2", "1"),
        ("previous", "1", None),
        ("challenger", None, "2"),
    ]
    assert three.get("churn").aliases == {"champion": "2", "previous": "1"}
    assert len({(move.entry, move.at) for move in moves}) == 1
    assert moves[0].along == ("previous", "challenger")
    assert backend.journal is not None
    entry = backend.journal.get(moves[0].entry)
    assert (entry.before["alias"], entry.before["version"], entry.after["version"]) == ("champion", "1", "2")
    assert entry.before["aliases"] == {"champion": "1", "previous": None, "challenger": "2"}
    assert entry.after["aliases"] == {"champion": "2", "previous": "1", "challenger": None}
    assert changes_in(entry)[0] == JOINT[0]
    assert set(changes_in(entry)) == set(JOINT)
    assert [three.history("churn", alias=move.alias)[0].version for move in moves] == ["2", "1", None]


@pytest.mark.parametrize("wrong", range(3))
def test_where_one_is_not_where_it_was_seen_none_moves(three: ModelRegistry, bob: Mutation, wrong: int) -> None:
    before, moves = three.get("churn").aliases, three.history("churn")
    changes = [to(each.alias, each.version, "3" if at == wrong else each.expected) for at, each in enumerate(JOINT)]
    with pytest.raises(Conflict, match=JOINT[wrong].alias):
        three.set_aliases("churn", changes, mutation=bob)
    assert three.get("churn").aliases == before
    assert three.history("churn") == moves


def test_together_each_is_named_once_goes_somewhere_and_to_what_is_there(three: ModelRegistry, bob: Mutation) -> None:
    before = three.get("churn").aliases
    with pytest.raises(Invalid, match="champion is named twice"):
        three.set_aliases("churn", (to("champion", "2", "1"), to("champion", "3", "1")), mutation=bob)
    with pytest.raises(Invalid, match="no alias is named"):
        three.set_aliases("churn", (), mutation=bob)
    with pytest.raises(NotFound):
        three.set_aliases("churn", (to("champion", "2", "1"), to("blue", "9", None)), mutation=bob)
    with pytest.raises(Conflict, match="challenger of churn is at v2 already"):
        three.set_aliases("churn", (to("champion", "2", "1"), to("challenger", "2", "2")), mutation=bob)
    assert three.get("churn").aliases == before


def test_the_same_key_gives_the_same_moves_together(three: ModelRegistry) -> None:
    once = Mutation("ann@box", key="joint-1")
    moves = three.set_aliases("churn", JOINT, mutation=once)
    assert three.set_aliases("churn", JOINT, mutation=once) == moves
    assert len(three.history("churn")) == 5


def test_of_two_at_once_one_moves_all_and_the_other_none(three: ModelRegistry) -> None:
    others = (to("champion", "3", "1"), to("previous", "1", None))
    told: list[object] = []

    def move(changes: tuple[AliasChange, ...], who: str) -> None:
        try:
            told.append(three.set_aliases("churn", changes, mutation=Mutation(who)))
        except Conflict as error:
            told.append(error)

    threads = [threading.Thread(target=move, args=each) for each in ((JOINT, "ann@box"), (others, "bob@box"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(each, Conflict) for each in told) == 1
    assert three.get("churn").aliases in (
        {"champion": "2", "previous": "1"},
        {"champion": "3", "previous": "1", "challenger": "2"},
    )

"""Rolling back and aliases that move together, as the dialogs tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backends.contract import Mutation, NotFound
from console.promotion import case_facts
from console.promotion.comparer import Paired
from console.promotion.policy import FILE
from console.promotion.promote import promote
from tests.terminal.stage import on_stage, press, session, until
from tests.unit.registry import version_of

ME = Mutation(actor="user1@box", reason="first")
TOGETHER = '[[promotion]]\nalias = "champion"\ntogether = { previous = "holder", challenger = "clear" }\n'


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    """v1 was champion and v2 is; v3 is better and challenger."""
    made = session(tmp_path / "ws")
    for at, auc in enumerate((0.70, 0.75, 0.80)):
        version_of(made.backend, tmp_path, auc=auc, content=f"model {at}".encode())
    promote(made.backend, "churn", "1", "champion", ME, expected=None)
    promote(made.backend, "churn", "2", "champion", ME, expected="1")
    promote(made.backend, "churn", "3", "challenger", ME, expected=None)
    return made


def aliases(opened: Any) -> dict[str, str]:
    found: dict[str, str] = opened.backend.registry.get("churn").aliases
    return found


async def at_models(app: Any, pilot: Any, key: str) -> None:
    await press(app, pilot, "4")
    await app.idle()
    await pilot.pause()
    await press(app, pilot, key)


@pytest.mark.parametrize("size", [(80, 24), (120, 36)])
async def test_b_says_who_notices_and_e_chooses_another(opened: Any, size: tuple[int, int]) -> None:
    promote(opened.backend, "churn", "3", "champion", ME, expected="2")
    async with on_stage(opened, size=size) as (app, pilot):
        await at_models(app, pilot, "b")
        text = await until(app, pilot, "from v3 back to v2")
        for words in ("no deployment follows it", "callers send what they send today", "auc", "worse", "verified"):
            assert words in text
        await press(app, pilot, "e")
        text = await until(app, pilot, "Back to which champion")
        await press(app, pilot, "down", "enter")
        await until(app, pilot, "from v3 back to v1")
        assert aliases(opened)["champion"] == "3"
        await press(app, pilot, "y")
        await until(app, pilot, "v3 → v1")
        assert aliases(opened)["champion"] == "1"


async def test_a_version_whose_file_is_damaged_cannot_be_agreed_to(opened: Any) -> None:
    version = opened.backend.registry.version("churn", "1")
    path = opened.backend.artifacts.open(version.run, version.file.path)
    path.chmod(0o600)
    path.write_bytes(b"something else")
    async with on_stage(opened, size=(120, 36)) as (app, pilot):
        await at_models(app, pilot, "b")
        await until(app, pilot, "e chooses another")
        await press(app, pilot, "y")
        await pilot.pause()
        assert aliases(opened)["champion"] == "2"


async def test_what_moves_together_is_shown_moved_and_taken_back(opened: Any) -> None:
    (opened.backend.home / FILE).write_text(TOGETHER)
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await at_models(app, pilot, "p")
        await until(app, pilot, "Promote which version")
        await press(app, pilot, "enter")
        text = await until(app, pilot, "previous nothing → v2")
        assert "champion v2 → v3" in text
        assert "challenger v3 → nothing" in text
        await press(app, pilot, "y")
        await until(app, pilot, "with challenger, previous")
        assert aliases(opened) == {"champion": "3", "previous": "2"}
        await press(app, pilot, "u")
        await until(app, pilot, "goes from v3 to v2, with")
        await press(app, pilot, "y")
        await until(app, pilot, "v3 → v2")
        assert aliases(opened) == {"champion": "2", "challenger": "3"}


async def test_several_are_named_in_the_command_bar(opened: Any) -> None:
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await at_models(app, pilot, ":")
        await press(app, pilot, *"promote champion blue", "enter")
        await until(app, pilot, "Promote which version")
        await press(app, pilot, "enter")
        await until(app, pilot, "champion v2 → v3, blue nothing → v3")
        await press(app, pilot, "y")
        await until(app, pilot, "with blue")
        assert aliases(opened) == {"champion": "3", "blue": "3", "challenger": "3"}


async def test_the_interval_of_the_difference_comes_when_it_is_there(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dialog stands, and can be answered, while the two are compared."""
    import threading

    go_on = threading.Event()

    def compared(*_: object, **__: object) -> tuple[Paired, ...]:
        go_on.wait(300)
        return (
            Paired(
                metric="auc", candidate=0.8, holder=0.75, difference=0.05, low=0.02, high=0.08, rows=100,
                method="DeLong", better=True,
            ),
        )  # fmt: skip

    monkeypatch.setattr(case_facts, "compare_rows", compared)
    async with on_stage(opened, size=(120, 40)) as (app, pilot):
        await at_models(app, pilot, "p")
        await until(app, pilot, "Promote which version")
        await press(app, pilot, "enter")
        text = await until(app, pilot, "comparing")
        assert "champion v2 → v3" in text
        go_on.set()
        text = await until(app, pilot, "surely better")
        assert "comparing" not in text
        assert "+0.02 to +0.08" in text
        assert "champion v2 → v3" in text
        await press(app, pilot, "enter")  # and so it stands in the whole case
        await until(app, pilot, "verdict")
        await until(app, pilot, " 0.02 to 0.08")


async def test_where_they_cannot_be_compared_the_dialog_says_why(opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> tuple[Paired, ...]:
        raise NotFound("what v2 said of its held-out rows was not kept")

    monkeypatch.setattr(case_facts, "compare_rows", missing)
    async with on_stage(opened, size=(80, 24)) as (app, pilot):
        await at_models(app, pilot, "p")
        await until(app, pilot, "Promote which version")
        await press(app, pilot, "enter")
        await until(app, pilot, "was not kept")
        await press(app, pilot, "y")
        await until(app, pilot, "v2 → v3")

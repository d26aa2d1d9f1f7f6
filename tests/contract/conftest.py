"""One suite for every adapter: each test here takes `backend` and says what the contract promises, whoever keeps it.

Another adapter joins with one row in `ADAPTERS`. A test that needs what an adapter says it lacks is skipped, with the
reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backends.contract import Backend, Mutation
from backends.local import open_local

ADAPTERS: dict[str, Callable[[Path], Backend]] = {
    "local": lambda folder: open_local(folder / "workspace"),
}


@pytest.fixture(params=sorted(ADAPTERS))
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = ADAPTERS[request.param](tmp_path)
    wanted = request.node.get_closest_marker("needs")
    for capability in wanted.args if wanted else ():
        if getattr(made, capability) is None:
            made.close()
            pytest.skip(f"{request.param} has no {capability}: {made.missing.get(capability, 'not offered')}")
    yield made
    made.close()


@pytest.fixture
def ann() -> Mutation:
    return Mutation("ann@box", reason="because")


@pytest.fixture
def bob() -> Mutation:
    return Mutation("bob@box", reason="why not")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs(*capabilities): what of a backend the test is about")

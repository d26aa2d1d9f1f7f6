"""The launcher suite on a real Ray: a head, two workers, in a network namespace; and what is Ray's alone."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from backends.contract import Invalid, Unauthorized
from backends.entities import Job, LauncherRef, Needs, RunStatus
from backends.launchers import open_engine
from backends.local.protocol_access import living_server
from backends.ray.engine import RayEngine
from tests.launcher.bench import Bench, until
from tests.launcher.ray_head import RayHead, missing
from tests.launcher.ray_inside import AGENT_PORT
from tests.launcher.suite import LauncherSuite

WHY_NOT = missing()
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)]
TOKEN = "a-token-of-the-cluster-0123456789abcdef"


class RayBench(Bench):
    engine = "ray"
    beyond = Needs(gpu=1)
    waits = "resources"
    ships = True
    fragile = {"resource.far2": "1"}
    parallel = 4
    spread = '[launch]\n"resource.spread" = 1'
    forgets = True

    def __init__(self, workspace: Path, ref: LauncherRef, head: RayHead) -> None:
        self.head = head
        super().__init__(workspace, ref)

    def listing(self, run: str) -> str:
        places = ("/api/jobs/", f"/api/jobs/{run}", "/api/v0/actors?detail=true", "/api/v0/runtime_envs?detail=true")
        return "\n".join(self.head.get(each).text for each in places)

    def cut(self) -> None:
        self.head.way.cut()

    def mend(self) -> None:
        self.head.way.mend()

    def break_node(self, run: str) -> None:
        self.head.kill("2")

    def mend_node(self) -> None:
        self.head.add("2")

    def crash(self) -> None:
        self.head.kill("head")

    def revive(self) -> None:
        """It asks for no token from now on: what follows here is with a cluster that is open."""
        self.head.revive()


def reference(head: RayHead, **more: str) -> LauncherRef:
    options = {"agent": f"http://127.0.0.1:{AGENT_PORT}", "python": sys.executable, **more}
    return LauncherRef(url=f"ray+{head.url}", token_env="RAY_TEST_TOKEN" if head.token else "", options=options)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    home = tmp_path_factory.mktemp("ray")
    workspace = home / "workspace"

    def agent() -> int:
        found = living_server(workspace)
        if found is None:
            raise ConnectionRefusedError
        return found.port

    head = RayHead(agent, TOKEN)
    ref = reference(head)
    config = home / "config.toml"
    options = ", ".join(f'{key} = "{value}"' for key, value in ref.options.items())
    config.write_text(
        f'[contexts.here]\nworkspace = "{workspace}"\nlauncher = "{ref.url}"\nlauncher_token_env = "RAY_TEST_TOKEN"\n'
        f"launcher_options = {{ {options} }}\n"
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MLOPS_CONSOLE_CONFIG", str(config))
        patched.setenv("RAY_TEST_TOKEN", TOKEN)
        made = RayBench(workspace, ref, head)
        yield made
        made.close()
    head.close()


class TestWithToken:
    def test_a_wish_for_a_resource_of_its_own_is_met(self, bench: Bench) -> None:
        run = bench.submit("true", needs=Needs(cpu=0.5, memory=100_000_000), options={"resource.slot": "1"})
        until(lambda: isinstance(bench, RayBench) and bench.head.get(f"/api/jobs/{run}").status_code == 200, "the job")
        assert isinstance(bench, RayBench)
        assert bench.wait(run).status is RunStatus.FINISHED
        engine = open_engine(reference(bench.head))
        assert isinstance(engine, RayEngine)
        job = Job(run=run, name="x", folder="", entry=("true",), needs=Needs(cpu=0.5, memory=7, gpu=2),
                  options={"resource.slot": "1"})  # fmt: skip
        asked = engine.asked(job, {})
        assert (asked["entrypoint_num_cpus"], asked["entrypoint_num_gpus"], asked["entrypoint_memory"]) == (0.5, 2, 7)
        assert asked["entrypoint_resources"] == {"slot": 1.0}
        assert engine.submit([job]) == {run: run}  # it is there, so nothing is begun
        engine.close()

    def test_who_has_no_token_is_told_what_is_wanted(self, bench: Bench) -> None:
        assert isinstance(bench, RayBench)
        right = open_engine(reference(bench.head))
        assert "by token" in right.probe()
        bare = open_engine(LauncherRef(url=f"ray+{bench.head.url}"))
        with pytest.raises(Unauthorized, match="launcher_token_env"):
            bare.probe()
        with pytest.raises(Invalid, match="pyhton"):
            open_engine(LauncherRef(url="ray+http://x", options={"pyhton": "3"}))
        with pytest.raises(Invalid, match="like ray"):
            open_engine(LauncherRef(url="ray:x"))

    def test_a_ticket_is_no_good_a_second_time(self, bench: Bench) -> None:
        assert isinstance(bench, RayBench)
        run = bench.script("print('ticket used')", tracking=True)
        bench.wait(run)
        assert '"used_at":0' not in (bench.workspace / "runs" / run / "ticket.json").read_text()
        found = living_server(bench.workspace)
        assert found is not None
        answer = httpx.post(f"{found.url}/jobs/ticket", json={"run": run, "ticket": "guessed"})
        assert answer.status_code == 403
        assert "token" not in answer.text.lower()


class TestRay(LauncherSuite):
    """The head is killed midway, and comes back without a token."""

    def test_it_went_on_without_a_token(self, bench: Bench) -> None:
        assert isinstance(bench, RayBench)
        assert "open to whoever" in open_engine(reference(bench.head)).probe()

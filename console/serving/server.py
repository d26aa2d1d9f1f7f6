"""The server's own process: listens, keeps workers, follows aliases, takes commands. It loads no model itself.

A version is exchanged in two steps: every worker loads and warms it beside the old one, and only when all have done so
does each exchange one reference. Where one of them cannot, none does, and the old version goes on.
"""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from backends.contract import Backend, BackendError, Invalid, Unreachable
from backends.entities import Millis
from console.serving.channel import Failed
from console.serving.counters import WorkerStats
from console.serving.engine import with_onnx
from console.serving.fetched import VersionFile, fetch_version, held_version
from console.serving.model_processes import ModelProcesses
from console.serving.onnx.facts import command
from console.serving.said import say
from console.serving.segments import recover
from console.serving.spec import ServingSpec, Target, check_targets, check_workers
from console.serving.state import TargetTally
from console.serving.tally import Tally
from console.serving.workers import Crew

RETRY_S: Final = 5.0
"""After a version that could not be loaded, it is tried again so much later, then twice as long, up to a minute."""
WARM_S: Final = 120.0
"""What was loaded for an alias that is about to move is kept so long."""
LOOK_S: Final = 10.0
"""Aliases are looked at so often even where nothing said that anything changed."""


class Standing(msgspec.Struct):
    """One target as it is."""

    target: Target
    version: str = ""
    """That is served; empty before the first."""
    sha256: str = ""
    loaded_at: Millis = 0
    engine: str = ""
    state: str = "loading"
    """`serving`; `loading` before the first answer; `kept`: the old version goes on, and `why` says for what reason."""
    why: str = ""
    wanted: str = ""
    """The version that was to be served instead."""


class Server:
    """One deployment."""

    def __init__(self, spec: ServingSpec, backend: Backend, spec_path: Path) -> None:
        self.spec = spec
        self.started_at = int(time.time() * 1000)
        self.standings = [Standing(target) for target in spec.targets]
        self.listener = _listen(spec)
        self.stopping = asyncio.Event()
        self.swaps = 0
        self._backend = backend
        self._files: dict[str, VersionFile] = {}
        self._previous = ""
        self._standby = ""
        """A version that is loaded and not served: the one most likely wanted next."""
        self._warmed = ("", 0.0)
        """A version that somebody had loaded because an alias is about to name it, and until when it is kept."""
        self._unfit: set[str] = set()
        """Versions that could not be loaded to stand by."""
        self._changing = asyncio.Lock()
        self._failed: dict[str, tuple[float, int]] = {}
        self._looked = 0.0
        self._token: object = None
        self.away = ""
        """Why the registry cannot be asked; empty where it can."""
        self._processes = ModelProcesses(say)
        self._tally, descriptor = Tally.made()
        self.crew = Crew(spec, spec_path, self.listener, descriptor, self._equip, self._worker_asks, say)

    @property
    def url(self) -> str:
        host, port = self.listener.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    # ------------------------------------------------------------ life

    async def start(self) -> None:
        """Load every target and listen. Refused, NotFound, … where one cannot be served."""
        if self.spec.log.folder:
            folder = Path(self.spec.log.folder)
            for each in (folder, folder / "shadow"):
                if each.is_dir():
                    recover(each)
        wanted = [
            await asyncio.to_thread(held_version, self._backend, self.spec.model, each.target)
            for each in self.standings
        ]
        try:
            await self.crew.start()  # they import while we fetch
            for version in wanted:
                await self._fetch(version)
            self._token = await asyncio.to_thread(self._backend.changed)
            async with self._changing:
                await self._exchange([each.target for each in self.standings], wanted)
        except BaseException:
            await self.crew.end(0)
            await self._processes.keep(())
            raise

    async def run(self) -> None:
        """Follow the aliases until the end is asked for."""
        while not self.stopping.is_set():
            try:
                async with asyncio.timeout(self.spec.poll_seconds):
                    await self.stopping.wait()
            except TimeoutError:
                await self._follow()
        self.listener.close()
        await self.crew.end(self.spec.limits.drain_seconds)
        await self._processes.keep(())

    # ------------------------------------------------------------ following

    async def _follow(self) -> None:
        """Look at the aliases if anything may have changed."""
        now = time.monotonic()
        try:
            token = await asyncio.to_thread(self._backend.changed)
            due = any(at <= now for at, _ in self._failed.values())
            if token != self._token or due or now - self._looked > LOOK_S:
                self._token = token
                await self.look()
                await self._stand_by()
            await self._cool()
            self.away = ""
        except BackendError as error:
            if str(error) != self.away:
                say(f"the registry cannot be asked, what is loaded goes on: {error}")
            self.away = str(error)
        except Exception as error:
            say(f"following failed: {type(error).__name__}: {error}")

    async def _cool(self) -> None:
        """Let go of a version that an alias was about to name and never did."""
        version, until = self._warmed
        if version and time.monotonic() >= until:
            async with self._changing:
                self._warmed = ("", 0.0)
                await self.crew.serve([(each.target, each.version) for each in self.standings], self._kept())
                await self._let_go()

    async def look(self) -> None:
        """Look at every alias, and load what it names now."""
        async with self._changing:
            self._looked = time.monotonic()
            wanted = []
            for standing in self.standings:
                version = standing.version
                if standing.target.alias:
                    try:
                        version = await asyncio.to_thread(held_version, self._backend, self.spec.model, standing.target)
                    except Unreachable:
                        raise
                    except BackendError as error:  # taken away, or the model is gone: what is loaded goes on
                        self._keep(standing, "", str(error))
                wanted.append(version)
            for standing, version in zip(self.standings, wanted, strict=True):
                if version == standing.version and standing.state == "kept" and standing.wanted:
                    standing.state, standing.why, standing.wanted = "serving", "", ""  # the alias went back
            if wanted == [standing.version for standing in self.standings]:
                self._failed.clear()
                return
            now = time.monotonic()
            # One bad version is no reason to keep the others from moving.
            for at, (standing, version) in enumerate(zip(self.standings, wanted, strict=True)):
                if version == standing.version or self._failed.get(version, (0.0, 0))[0] > now:
                    continue
                versions = [each.version for each in self.standings]
                versions[at] = version
                try:
                    await self._exchange([each.target for each in self.standings], versions)
                except (BackendError, Failed, TimeoutError) as error:
                    self._fail(standing, version, str(error) or "it took too long")

    async def _stand_by(self) -> None:
        """Load what another alias names, so that its promotion takes no time. Nothing is said where that fails: it is
        said when the version is wanted."""
        if not self.spec.standby:
            return
        async with self._changing:
            model = await asyncio.to_thread(self._backend.need("registry").get, self.spec.model)
            held = {self._previous, self._warmed[0], *(each.version for each in self.standings)} | self._unfit
            others = sorted(model.aliases.items(), key=lambda each: (each[0] != "challenger", each[0]))
            wanted = next((version for _, version in others if version not in held), "")
            if not wanted or wanted == self._standby:
                return
            try:
                await self._fetch(wanted)
                await self.crew.load([self._files[wanted]])
            except (BackendError, Failed, TimeoutError):
                self._unfit.add(wanted)
                await self._let_go()
                return
            self._standby = wanted
            targets = [(each.target, each.version) for each in self.standings]
            await self.crew.serve(targets, self._kept())  # the one that stood by before is let go
            await self._let_go()

    async def warm(self, version: str) -> None:
        """Load it beside what is served, so that an alias that comes to name it is followed at once. Refused,
        NotFound, … where it cannot be; nothing has changed then."""
        async with self._changing:
            try:
                await self._fetch(version)
                await self.crew.load([self._files[version]])
            except BaseException:
                await self._let_go()
                raise
            self._warmed = (version, time.monotonic() + WARM_S)
            self._unfit.discard(version)
            self._failed.pop(version, None)
            targets = [(each.target, each.version) for each in self.standings]
            await self.crew.serve(targets, self._kept())  # it is tuned beside what answers

    def _kept(self) -> list[str]:
        """What stays loaded although it is not served."""
        warmed, until = self._warmed
        about_to = warmed if time.monotonic() < until else ""
        return [version for version in dict.fromkeys((self._previous, self._standby, about_to)) if version]

    def _fail(self, standing: Standing, version: str, why: str) -> None:
        times = self._failed.get(version, (0.0, 0))[1] + 1
        pause = min(RETRY_S * 2 ** (times - 1), 60.0)
        self._failed[version] = (time.monotonic() + pause, times)
        self._keep(standing, version, why)

    def _keep(self, standing: Standing, wanted: str, why: str) -> None:
        if (standing.state, standing.why) != ("kept", why):
            what = f"v{wanted}" if wanted else standing.target.name
            say(f"{standing.target.name}: {what} is not served, v{standing.version} goes on: {why}")
        standing.state, standing.why, standing.wanted = "kept", why, wanted

    # ------------------------------------------------------------ exchanging

    async def set_targets(self, targets: tuple[Target, ...]) -> None:
        """Serve these instead: all workers, or none."""
        check_targets(targets)
        async with self._changing:
            known = {each.target.name: each.version for each in self.standings}
            versions = []
            for target in targets:
                if target.name in known and not target.alias:
                    versions.append(known[target.name])
                else:
                    versions.append(await asyncio.to_thread(held_version, self._backend, self.spec.model, target))
            await self._exchange(list(targets), versions)

    async def set_workers(self, count: int) -> None:
        """So many worker processes: new ones answer once they have what is served, others finish what they answer."""
        check_workers(count)
        async with self._changing:
            await self.crew.resize(count)

    async def _exchange(self, targets: list[Target], versions: list[str]) -> None:
        """Load what is new in every worker, then exchange. Raises with the reason, and nothing has changed."""
        began = time.monotonic()
        try:
            for version in dict.fromkeys(versions):
                await self._fetch(version)
            loads = await self.crew.load([self._files[version] for version in dict.fromkeys(versions)])
        except BaseException:
            await self._let_go()  # the next try fetches it anew: its files may have been mended
            raise
        before = self.standings[0].version
        if before and before != versions[0]:
            self._previous = before
        await self.crew.serve(list(zip(targets, versions, strict=True)), self._kept())
        self._tally.clear()
        old = {each.version for each in self.standings}
        swift = any(each.engine == "onnx" for each in self.standings)
        self.standings = [
            Standing(
                target, version=version, sha256=self._files[version].sha256, loaded_at=loads[version]["at"],
                engine=loads[version]["engine"],
                state="serving",
            )
            for target, version in zip(targets, versions, strict=True)
        ]  # fmt: skip
        self.swaps += 1
        for version in versions:
            self._failed.pop(version, None)
        new = [version for version in dict.fromkeys(versions) if version not in old]
        split = ", ".join(
            f"{each.target.name} v{each.version} {'shadow ' if each.target.shadow else ''}{each.target.share:.0%}"
            for each in self.standings
        )
        loaded = f"; loaded {', '.join(f'v{version}' for version in new)}" if new else ""
        say(f"serving {self.spec.model}: {split}{loaded} ({(time.monotonic() - began) * 1000:.0f} ms)")
        for version in new:
            self._say_engine(version, loads[version], swift)
        await self._let_go()

    async def _let_go(self) -> None:
        """Of files and processes of versions that are neither served nor kept."""
        keep = {*(each.version for each in self.standings), *self._kept()}
        self._files = {version: file for version, file in self._files.items() if version in keep}
        await self._processes.keep(keep)

    async def _fetch(self, version: str) -> None:
        if version not in self._files:
            file = await asyncio.to_thread(fetch_version, self._backend, self.spec.model, version)
            file = await asyncio.to_thread(with_onnx, self._backend, file, self.spec.engine)
            self._files[version] = await self._processes.started(file)

    def process_trouble(self, version: str) -> str:
        """Why the process that serves a version does not answer; empty where it does, or where there is none."""
        return self._processes.trouble(version)

    def _say_engine(self, version: str, said: dict[str, Any], before: bool) -> None:
        """Which engine took over; that scikit-learn did, only where ONNX was there or should have been."""
        if said["engine"] == "onnx":
            say(f"v{version} is answered for by onnxruntime")
        elif said["why"] and (before or self._files[version].onnx is not None):
            how = command(self.spec.model, version)
            say(f"v{version} is answered for by scikit-learn: {said['why']}; {how} makes its ONNX file")

    async def _equip(self) -> tuple[list[VersionFile], list[tuple[Target, str]]]:
        """What a worker that was started again is to load and serve."""
        targets = [(each.target, each.version) for each in self.standings]
        return [self._files[version] for version in dict.fromkeys(version for _, version in targets)], targets

    async def _worker_asks(self, verb: str, _body: Any) -> Any:
        if verb == "metrics":
            from console.serving.metrics_text import metrics_text

            return metrics_text(self.spec, self.standings, await self.crew.stats())
        raise Failed(f"{verb} is not known")

    def tallies(self) -> tuple[TargetTally, ...]:
        """What callers got of each target; empty where one answers alone."""
        live = [each.target.name for each in self.standings if not each.target.shadow]
        return self._tally.counted(live) if len(live) > 1 else ()

    async def stats(self) -> list[WorkerStats]:
        return await self.crew.stats()


def _listen(spec: ServingSpec) -> socket.socket:
    family = socket.AF_INET6 if ":" in spec.host else socket.AF_INET
    # The protocol named: asyncio lets small answers go at once only on sockets that say they are TCP.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((spec.host, spec.port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        what = "is taken" if error.errno == 98 else error.strerror
        raise Invalid(
            f"the server cannot listen on {spec.host}:{spec.port}: {what}; choose another port", "port"
        ) from error
    listener.setblocking(False)
    return listener

"""The agent says where its protocol server listens: also where the disk was full when it began to."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from backends.local import open_local
from backends.local.protocol_access import ProtocolPresence, last_presence, presence_path
from console.agent import protocol
from console.agent.protocol import Protocol


def test_the_port_is_told_once_there_is_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is up meanwhile and stays on its port: nothing else would tell it, since it starts only once."""
    workspace = tmp_path / "workspace"
    backend = open_local(workspace)
    said: list[str] = []
    tried: list[int] = []
    write = protocol.write_presence

    def full(_workspace: Path, presence: ProtocolPresence) -> None:
        tried.append(presence.port)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(protocol, "write_presence", full)
    served = Protocol(backend, workspace, said.append)
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="No space left"):
                served.step()
        assert not presence_path(workspace).exists(), "nobody is told of it"
        monkeypatch.setattr(protocol, "write_presence", write)
        served.step()
        found = last_presence(workspace)
        assert found is not None
        assert {*tried, found.port} == {found.port}, "one server, one port"
        assert said == [f"the MLflow protocol is served on 127.0.0.1:{found.port}"]
        presence_path(workspace).unlink()
        served.step()
        assert not presence_path(workspace).exists(), "once it is told, it is not told again"
    finally:
        served.stop()
        backend.close()

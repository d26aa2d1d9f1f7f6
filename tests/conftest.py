"""Real servers that the tests share: each starts once a session, on a free loopback port.

No example of a property has a time limit, nor has the making of examples: the tests run beside each other.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.mlflow_server import MlflowServer, start_mlflow
from tests.oci_server import NO_REGISTRY, REGISTRY, OciServer, start_registry

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As in a shell's background. Programs that the tests start and interrupt would be deaf to it as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)

for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    # Tests run beside each other: threads that wait for one another would spin on the cores of the others.
    os.environ.setdefault(_threads, "1")

settings.register_profile("beside others", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("beside others")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real `mlflow server` on SQLite, started when the first test wants it."""
    server = start_mlflow(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def container_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OciServer]:
    """A real container registry; each test has a prefix of its own there."""
    if REGISTRY is None:
        pytest.skip(NO_REGISTRY)
    server = start_registry(tmp_path_factory.mktemp("container-registry"))
    yield server
    server.stop()

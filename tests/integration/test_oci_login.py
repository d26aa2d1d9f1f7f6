"""Who one is to a container registry: a password, or tokens that another place gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backends.connect import connect
from backends.contract import (
    Unauthorized,
)
from backends.login import Login
from console.promotion.promote import promote
from tests.oci_server import HTPASSWD, OciServer, TokenServer, needs_registry, start_registry
from tests.oci_world import ANN, World, oci_world, register

pytestmark = needs_registry


@pytest.fixture
def world(container_registry: OciServer, tmp_path: Path) -> Iterator[World]:
    with oci_world(container_registry, tmp_path) as made:
        yield made


def test_a_password_opens_a_registry_and_stands_in_no_error(tmp_path: Path) -> None:
    (tmp_path / "htpasswd").write_text(HTPASSWD + "\n")
    auth = {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}}
    server = start_registry(tmp_path / "registry", auth=auth)
    try:
        for said, word in (("right", ""), ("wr0ng-secret", "does not accept who we are")):
            secret = tmp_path / said
            secret.touch(mode=0o600)
            secret.write_text(said)
            login = Login(username="ann", file=str(secret))
            backend = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / f"s{said}", login=login)
            if not word:
                assert register(backend, tmp_path, b"a") == "1"
                assert promote(backend, "churn", "1", "champion", ANN, expected=None).version == "1"
            else:
                with pytest.raises(Unauthorized, match=word) as told:
                    backend.need("registry").get("churn")
                assert said not in str(told.value)
            backend.close()
        nobody = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "nobody")
        with pytest.raises(Unauthorized, match="username"):
            nobody.need("registry").get("churn")
        nobody.close()
    finally:
        server.stop()


def test_a_token_is_fetched_for_each_purpose_where_the_registry_says_and_anew_when_it_ends(tmp_path: Path) -> None:
    tokens = TokenServer(tmp_path)
    server = start_registry(tmp_path / "registry", auth=tokens.auth)
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text("right")
    try:
        login = Login(username="ann", file=str(secret))
        ann = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "s", login=login)
        assert register(ann, tmp_path, b"a") == "1"
        assert {"repository:team/churn:pull", "repository:team/churn:pull,push"} <= set(tokens.given)
        before = len(tokens.given)
        promote(ann, "churn", "1", "champion", ANN, expected=None)
        assert len(tokens.given) == before  # those that are there are good enough
        assert [each.name for each in ann.need("registry").page().items] == ["churn"]
        assert "registry:catalog:*" in tokens.given
        ann.close()

        secret.write_text("wr0ng-secret")
        bob = connect("team", f"oci+{server.url}/team", sidecar=tmp_path / "bob", login=login)
        with pytest.raises(Unauthorized) as told:
            bob.need("registry").get("churn")
        assert "wr0ng-secret" not in str(told.value)
        # The password is mended where it is kept: no console has to be started anew.
        secret.write_text("right")
        assert bob.need("registry").get("churn").aliases == {"champion": "1"}
        bob.close()
    finally:
        server.stop()
        tokens.stop()

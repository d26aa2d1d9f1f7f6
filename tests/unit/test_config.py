"""Contexts: what the file says, what it must not say, and which one a command line chooses."""

from __future__ import annotations

from pathlib import Path

import pytest

from backends.contract import Invalid, NotFound
from backends.login import Login
from console.config import Context, choose_context, current_actor, load_config, use_context
from console.contexts.written import add_context


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "etc" / "config.toml"
    path.parent.mkdir()
    monkeypatch.setenv("MLOPS_CONSOLE_CONFIG", str(path))
    monkeypatch.setenv("MLOPS_CONSOLE_WORKSPACE", str(tmp_path / "home"))
    monkeypatch.delenv("MLOPS_CONSOLE_CONTEXT", raising=False)
    return path


def test_without_a_file_there_is_the_local_context_at_the_default_workspace(config: Path, tmp_path: Path) -> None:
    context = load_config().context()
    assert (context.name, context.workspace) == ("local", str(tmp_path / "home"))
    assert not context.production
    assert context.url == f"local:{tmp_path / 'home'}"


def test_a_context_is_read_with_its_care_flags(config: Path) -> None:
    config.write_text('[contexts.prod]\nworkspace = "/srv/models"\nproduction = true\nread_only = true\n')
    context = load_config().context("prod")
    assert context.production
    assert context.read_only
    assert context.directory == Path("/srv/models")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (
            '[contexts.prod]\nworkspace = "/x"\nprodution = true',
            ["contexts.prod.prodution", "did you mean production?"],
        ),
        ('[contexts.prod]\nworkspace = "/x"\nproduction = "yes"', ["contexts.prod.production", "Expected `bool`"]),
        ('[context.prod]\nworkspace = "/x"', ["context", "did you mean contexts?"]),
        ("[contexts.prod]\nproduction = true", ["contexts.prod", "neither a workspace nor a registry"]),
        ('[contexts.prod]\nworkspace = "relative"', ["contexts.prod.workspace", "not an absolute path"]),
        ('[contexts.prod]\nworkspace = "/x"\napprovals = 40', ["contexts.prod.approvals = 40", "0 to 20"]),
        ("contexts = 3", ["contexts must be tables"]),
        ("[policies.monitor]\npsi = 'much'", ["policies.monitor", "Expected `float`"]),
        ("[policies]\nmonitors = {}", ["policies.monitors", "did you mean monitor?"]),
        ("[contexts.prod", ["not valid TOML"]),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(config: Path, text: str, names: list[str]) -> None:
    config.write_text(text)
    with pytest.raises(Invalid) as caught:
        load_config()
    for name in [str(config), *names]:
        assert name in str(caught.value)


def test_a_file_that_is_not_utf8_is_refused(config: Path) -> None:
    config.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Invalid, match="not valid TOML"):
        load_config()


def test_an_unknown_context_names_the_nearest_and_the_known_ones(config: Path) -> None:
    config.write_text('[contexts.prod]\nworkspace = "/srv/models"\n')
    with pytest.raises(NotFound, match=r"context prdo: .*did you mean prod\?; it has local, prod"):
        load_config().context("prdo")


def test_use_makes_a_context_current_and_leaves_the_file_as_written(config: Path) -> None:
    text = '# mine\n[contexts.prod]\nworkspace = "/srv/models"\n'
    config.write_text(text)
    use_context("prod")
    assert load_config().context().name == "prod"
    assert config.read_text() == text
    with pytest.raises(NotFound):
        use_context("nowhere")
    assert load_config().current == "prod"


def test_the_environment_chooses_before_the_remembered_context(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text('[contexts.prod]\nworkspace = "/srv/models"\n')
    use_context("prod")
    monkeypatch.setenv("MLOPS_CONSOLE_CONTEXT", "local")
    assert load_config().context().name == "local"


def test_workspace_on_the_command_line_moves_a_local_context_and_keeps_its_care(config: Path, tmp_path: Path) -> None:
    config.write_text('[contexts.prod]\nworkspace = "/srv/models"\nproduction = true\n')
    moved = choose_context(load_config(), "prod", tmp_path / "elsewhere")
    assert moved.production
    assert moved.workspace == str(tmp_path / "elsewhere")


def test_a_bare_workspace_that_a_context_names_keeps_the_care_of_that_context(config: Path) -> None:
    config.write_text('[contexts.prod]\nworkspace = "/srv/models"\nproduction = true\n')
    assert choose_context(load_config(), None, Path("/srv/models")).production
    assert not choose_context(load_config(), None, Path("/srv/other")).production


def test_workspace_with_a_remote_context_is_refused(config: Path, tmp_path: Path) -> None:
    config.write_text('[contexts.prod]\nregistry = "mlflow+https://mlflow.example.org"\n')
    with pytest.raises(Invalid, match="name one of both"):
        choose_context(load_config(), "prod", tmp_path)


def test_the_actor_is_user_at_host() -> None:
    user, _, host = current_actor().partition("@")
    assert user
    assert host


def test_a_context_is_appended_and_every_byte_before_it_stays(config: Path) -> None:
    mine = "# mine\n[contexts.team]   # a word\nworkspace = '/srv/models'"
    config.write_text(mine)
    config.chmod(0o640)
    made = Context(
        name="prod",
        registry="mlflow+https://mlflow.example.org",
        production=True,
        token_command='pass show "my token"',
        options={"flavor": "databricks", "workspace": "team-a"},
    )
    assert add_context(made) == config
    assert config.read_text().startswith(mine + "\n")
    assert config.stat().st_mode & 0o777 == 0o640
    found = load_config().context("prod")
    assert (found.registry, found.production, found.options) == (made.registry, True, made.options)
    assert found.login == Login(command='pass show "my token"')
    with pytest.raises(Invalid, match="already"):
        add_context(made)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"token_env": "A", "token_file": "/b"}, "give one of them"),
        ({"username": "ann"}, "its password is wanted too"),
        ({"name": "a b"}, "letters, digits"),
        ({"name": "a]\n[x"}, "letters, digits"),
        ({"registry": "", "workspace": "/x", "token_env": "A"}, "a login is for a registry"),
    ],
)
def test_a_context_that_would_not_read_is_not_written(config: Path, more: dict[str, str], sentence: str) -> None:
    fields = {"name": "prod", "registry": "mlflow+https://h", **more}
    with pytest.raises(Invalid, match=sentence):
        add_context(Context(**fields))
    assert not config.exists()


def test_metrics_are_an_address_or_a_table_with_services(config: Path) -> None:
    config.write_text(
        '[contexts.a]\nworkspace = "/x"\nmetrics = "prometheus+http://p:9090"\n'
        '[contexts.b]\nworkspace = "/x"\n[contexts.b.metrics]\nurl = "prometheus+https://p"\ntenant = "ml"\n'
        'username = "ann"\ntoken_env = "PW"\ntimeout = 3.5\n'
        '[contexts.b.metrics.services.fraud]\nkind = "http"\nlabels = { job = "fraud" }\nstatus_label = "code"\n'
    )
    short, long = load_config().context("a").metrics_table, load_config().context("b").metrics_table
    assert short is not None
    assert long is not None
    assert (short.url, short.options) == ("prometheus+http://p:9090", {})
    assert long.options == {"tenant": "ml", "timeout": "3.5"}
    assert long.login == Login(username="ann", env="PW")
    service = long.services["fraud"].service("fraud")
    assert (service.kind, service.labels, service.status_labels) == ("http", {"job": "fraud"}, ("code",))
    assert load_config().context("local").metrics_table is None


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ('tenant = "ml"', ["contexts.b.metrics.url", "url is wanted"]),
        ('url = "p"\ntoken_env = "A"\ntoken_file = "/b"', ["contexts.b.metrics.token_file", "give one of them"]),
        ('url = "p"\nusername = "ann"', ["contexts.b.metrics.username", "its password is wanted"]),
        ('url = "p"\n[contexts.b.metrics.services.x]', ["contexts.b.metrics.services.x.labels", "labels are wanted"]),
        (
            'url = "p"\n[contexts.b.metrics.services.x]\nlabels = { a = "b" }\nqueries = { p75 = "q" }',
            ["contexts.b.metrics.services.x.queries", "there is no quantity p75"],
        ),
        ('ur1 = "p"', ["contexts.b.metrics", "ur1"]),
    ],
)
def test_a_wrong_metrics_table_is_refused_by_key(config: Path, table: str, names: list[str]) -> None:
    config.write_text(f'[contexts.b]\nworkspace = "/x"\n[contexts.b.metrics]\n{table}\n')
    with pytest.raises(Invalid) as caught:
        load_config()
    for name in names:
        assert name in str(caught.value)

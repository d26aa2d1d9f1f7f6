"""What an address, a flavour, its options and a login make together, and what they are told when they do not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backends.contract import Backend, Features, Invalid, Unauthorized
from backends.login import Login
from backends.mlflow.databricks import Account, DatabricksLogin
from backends.mlflow.flavours import FLAVOURS, place
from console.contexts.made import as_registry
from console.tui.actions import BY_ID

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:mlflow-tracking-server/team"
APP = ARN.replace("mlflow-tracking-server", "mlflow-app")
AZURE = (
    "westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/1/resourceGroups/rg/providers/"
    "Microsoft.MachineLearningServices/workspaces/ws"
)
TOKEN = Login(env="A_TOKEN")
PASSWORD = Login(env="A_TOKEN", username="ann")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import os

    for name in list(os.environ):
        if name.startswith(("AWS_", "DATABRICKS_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("A_TOKEN", "t")
    return tmp_path


@pytest.mark.parametrize(
    ("url", "options", "login", "flavour", "address"),
    [
        ("mlflow+https://mlflow.example.org/x/", {}, Login(), "oss", "https://mlflow.example.org/x"),
        (f"mlflow+{ARN}", {}, Login(), "sagemaker", "https://eu-west-1.experiments.sagemaker.aws"),
        (f"mlflow+{APP}", {"flavor": "sagemaker"}, Login(), "sagemaker", "https://mlflow.sagemaker.eu-west-1.app.aws"),
        ("mlflow+https://vpce.example.org", {"flavor": "sagemaker", "arn": ARN}, Login(), "sagemaker", "https://vpce.example.org"),
        ("mlflow+https://eu-west-1.experiments.sagemaker.aws", {"arn": ARN}, Login(), "sagemaker",
         "https://eu-west-1.experiments.sagemaker.aws"),
        ("mlflow+https://x.cloud.databricks.com", {}, TOKEN, "databricks", "https://x.cloud.databricks.com"),
        ("mlflow+https://adb-1.2.azuredatabricks.net/", {"flavor": "unity-catalog"}, TOKEN, "unity-catalog",
         "https://adb-1.2.azuredatabricks.net"),
        (f"mlflow+azureml://{AZURE}", {}, TOKEN, "azureml", f"https://{AZURE}"),
        (f"mlflow+https://{AZURE}", {}, TOKEN, "azureml", f"https://{AZURE}"),
        ("mlflow+https://dagshub.com/ann/churn", {}, PASSWORD, "dagshub", "https://dagshub.com/ann/churn.mlflow"),
        ("mlflow+https://dagshub.com/ann/churn.mlflow", {"flavor": "dagshub"}, Login(), "dagshub",
         "https://dagshub.com/ann/churn.mlflow"),
    ],
)  # fmt: skip
def test_an_address_tells_what_it_is(url: str, options: Any, login: Login, flavour: str, address: str) -> None:
    found = place(url, login, options)
    assert (found.flavour.name, found.address) == (flavour, address)


@pytest.mark.parametrize(
    ("url", "options", "login", "sentence"),
    [
        ("mlflow+https://x.org", {"flavor": "sagemakr"}, Login(), "did you mean sagemaker"),
        ("mlflow+https://x.org", {"flavor": "sagemaker"}, Login(), "which SageMaker server"),
        ("mlflow+https://x.org", {"flavor": "sagemaker", "arn": "arn:aws:s3:::x"}, Login(), "no address of a"),
        (f"mlflow+{ARN}", {}, TOKEN, "no token or user name"),
        (f"mlflow+{ARN}", {"arn": APP}, Login(), "the option arn is another"),
        (f"mlflow+{ARN}", {"flavor": "databricks"}, Login(), "address is one of SageMaker"),
        (f"mlflow+{ARN}", {"workspace": "a"}, Login(), "the option workspace is of flavor oss"),
        ("mlflow+https://x.org", {"arn": ARN}, Login(), "say flavor=sagemaker"),
        ("mlflow+https://x.org", {"profile": "team"}, Login(), "option profile is of flavor sagemaker or databricks"),
        ("mlflow+https://x.cloud.databricks.com", {"flavor": "azureml"}, TOKEN, "flavor=databricks or unity-catalog"),
        ("mlflow+https://x.cloud.databricks.com", {}, PASSWORD, "tokens and no passwords"),
        ("mlflow+https://x.cloud.databricks.com", {}, Login(), "neither DATABRICKS_HOST nor a profile"),
        ("mlflow+databricks://team", {}, Login(), "there is no Databricks profile team"),
        ("mlflow+databricks://", {}, Login(), "which Databricks"),
        ("mlflow+databricks://team", {"flavor": "dagshub"}, Login(), "address is one of Databricks"),
        (f"mlflow+azureml://{AZURE}", {}, Login(), "az account get-access-token"),
        ("mlflow+https://eu.api.azureml.ms", {}, TOKEN, "names the workspace"),
        ("mlflow+https://dagshub.com/ann", {}, PASSWORD, "https://dagshub.com/USER/REPO.mlflow"),
        ("mlflow+https://dagshub.com/ann/churn", {}, TOKEN, "give --username"),
        ("mlflow+https://ann:s3cret@x.org", {}, Login(), "holds a user or a password"),
        ("mlflow+ftp://x.org", {}, Login(), "a server's address is like"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_told_with_what_does(url: str, options: Any, login: Login, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as caught:
        place(url, login, options)
    assert "s3cret" not in str(caught.value)


def test_two_servers_behind_one_address_are_two() -> None:
    one, other = (place(f"mlflow+{ARN}{end}", Login(), {}) for end in ("", "2"))
    assert one.address == other.address
    assert one.key != other.key


def test_every_lack_says_a_way_out_or_why() -> None:
    for flavour in FLAVOURS.values():
        for what, why in flavour.lacks.items():
            assert len(why) > 20, (flavour.name, what)
            assert not why.endswith("."), (flavour.name, what)


# ---------------------------------------------------------------- Databricks' own places


def write(home: Path, text: str) -> None:
    (home / ".databrickscfg").write_text(text)


def test_a_named_profile_comes_before_the_environment_and_that_before_the_default(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, "[DEFAULT]\nhost = d.example\ntoken = d\n[team]\nhost = https://t.example/\ntoken = t%t\n")
    assert place("mlflow+databricks://", Login(), {}).login.secret() == "d"
    monkeypatch.setenv("DATABRICKS_HOST", "e.example")
    monkeypatch.setenv("DATABRICKS_TOKEN", "e")
    found = place("mlflow+databricks://", Login(), {})
    assert (found.address, found.login.secret()) == ("https://e.example", "e")
    found = place("mlflow+databricks://team", Login(), {})
    assert (found.address, found.login.secret()) == ("https://t.example", "t%t")
    assert place("mlflow+databricks://", Login(), {"profile": "team"}).address == "https://t.example"
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "team")
    assert place("mlflow+databricks://", Login(), {}).address == "https://t.example"


def test_an_address_alone_finds_its_profile_and_a_context_login_goes_before(home: Path) -> None:
    write(home, "[team]\nhost = x.cloud.databricks.com\ntoken = t\n")
    url = "mlflow+https://x.cloud.databricks.com"
    assert place(url, Login(), {}).login.secret() == "t"
    assert place(url, TOKEN, {}).login is TOKEN
    with pytest.raises(Invalid, match="neither DATABRICKS_HOST nor a profile"):
        place("mlflow+https://y.cloud.databricks.com", Login(), {})


def test_who_signed_in_by_the_databricks_command_is_asked_for_by_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(home, "[me]\nhost = https://x.example\nauth_type = databricks-cli\n")
    login = place("mlflow+databricks://me", Login(), {}).login
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(Unauthorized, match="no databricks command"):
        login.secret()
    command = home / "databricks"
    command.write_text(
        f"#!{sys.executable}\nimport sys\nassert sys.argv[1:] == ['auth', 'token', '--profile', 'me']\n"
        'print(\'{\\n  "access_token": "cli"\\n}\')\n'
    )
    command.chmod(0o755)
    assert login.secret() == "cli"


def test_no_account_shows_its_secrets() -> None:
    account = Account(host="https://x", source="profile a", token="s3cret", client_secret="s3cret")
    assert "s3cret" not in repr(account) + repr(DatabricksLogin(account=account))
    with pytest.raises(Unauthorized, match="azure-cli"):
        DatabricksLogin(account=Account(host="https://x", source="profile a", auth_type="azure-cli")).secret()


# ---------------------------------------------------------------- what a child process is told


def test_a_child_reaches_the_server_as_its_own_client_wants_to_be_told(home: Path) -> None:
    told = place(f"mlflow+{ARN}", Login(), {"profile": "team"}).environment()
    assert told == {"MLFLOW_TRACKING_URI": ARN, "AWS_DEFAULT_REGION": "eu-west-1", "AWS_PROFILE": "team"}
    told = place("mlflow+https://x.cloud.databricks.com", TOKEN, {"flavor": "unity-catalog"}).environment()
    assert told == {
        "MLFLOW_TRACKING_URI": "databricks",
        "MLFLOW_REGISTRY_URI": "databricks-uc",
        "DATABRICKS_HOST": "https://x.cloud.databricks.com",
        "DATABRICKS_TOKEN": "t",
    }
    told = place("mlflow+https://dagshub.com/ann/churn", PASSWORD, {}).environment()
    assert told["MLFLOW_TRACKING_USERNAME"] == "ann"


# ---------------------------------------------------------------- command line and screen


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (ARN, f"mlflow+{ARN}"),
        ("databricks", "mlflow+databricks://"),
        ("databricks-uc://team", "mlflow+databricks-uc://team"),
        (f"azureml://{AZURE}", f"mlflow+azureml://{AZURE}"),
        ("https://x.org", "mlflow+https://x.org"),
        ("/srv/models", ""),
    ],
)
def test_the_address_that_mlflow_knows_is_what_one_types(said: str, kept: str) -> None:
    assert as_registry(said) == kept


def test_promoting_is_greyed_with_the_reason_where_there_are_no_aliases() -> None:
    backend = Backend(
        name="prod", url="x", features=Features(), changed=lambda: 0, close=lambda: None,
        registry=object(), missing=FLAVOURS["databricks"].lacks,
    )  # type: ignore[arg-type]  # fmt: skip

    class Here:
        pane, selected, marked, read_only = "models", None, (), False

    Here.backend = backend  # type: ignore[attr-defined]
    for action in ("promote", "rollback"):
        assert "take flavor unity-catalog" in BY_ID[action].reason(Here())  # type: ignore[arg-type]


def test_a_plain_server_costs_no_cloud_imports() -> None:
    code = (
        "import sys; from backends.mlflow.flavours import place; from backends.login import Login; "
        "place('mlflow+https://x.org', Login(), {}); "
        "assert not {'configparser', 'httpx', 'backends.mlflow.databricks', 'backends.mlflow.aws'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""Whose MLflow it is, as data: where its routes begin, how it wants to be told who asks, how it gives files, its lacks.

Facts come from each service's documentation and from its own MLflow client (`mlflow.store._unity_catalog`,
`databricks_workspace_model_registry_rest_store`, `sagemaker-mlflow`, `dagshub`), not from trying them.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import msgspec

from backends.contract import Invalid
from backends.login import Login
from backends.mlflow.address import checked_address

if TYPE_CHECKING:
    from backends.mlflow.aws import Signer


class Files(StrEnum):
    """How files of runs are read and written."""

    PROXY = "proxy"
    """Through the server's own artifact routes."""
    SIGNED = "signed"
    """At addresses that the server signs one by one."""
    S3 = "s3"
    """In the bucket, with the credentials that sign the other requests."""


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of server that speaks the protocol."""

    name: str
    title: str
    registry: str = ""
    """Put between the API's base and the registry's routes."""
    offsets: bool = False
    """Page tokens are offsets, which may be asked for without having been given."""
    probed: bool = False
    """It answers /health, /version and server-info."""
    prefixed_files: bool = True
    """The address's path stands before the artifact routes too."""
    whole_lists: bool = True
    """Lists of models and versions tell aliases and tags; else each must be asked for, and a list takes no filter
    beyond a model's name."""
    most: int = 1_000
    """Models or versions that one page may hold."""
    files: Files = Files.PROXY
    lacks: dict[str, str] = {}
    """What it has not → why, and the way out, as a sentence that a person is shown."""


_DATABRICKS_PROMPTS: Final = "Databricks keeps prompts apart from models"

FLAVOURS: Final = {
    each.name: each
    for each in (
        Flavour(name="oss", title="MLflow", offsets=True, probed=True, prefixed_files=False, most=10_000),
        Flavour(name="dagshub", title="DagsHub", offsets=True),
        Flavour(name="sagemaker", title="SageMaker", offsets=True, files=Files.S3),
        Flavour(
            name="databricks",
            title="Databricks",
            files=Files.SIGNED,
            lacks={
                "aliases": "Databricks' workspace registry has stages and no aliases; models in Unity Catalog have "
                "them: take flavor unity-catalog",
                "prompts": _DATABRICKS_PROMPTS,
            },
        ),
        Flavour(
            name="unity-catalog",
            title="Unity Catalog",
            registry="unity-catalog/",
            whole_lists=False,
            most=100,
            files=Files.SIGNED,
            lacks={
                "register": "a version's files go into Unity Catalog's own storage, which mlflow does: "
                'mlflow.set_registry_uri("databricks-uc"), then mlflow.register_model',
                "stages": "Unity Catalog has aliases and no stages",
                "prompts": _DATABRICKS_PROMPTS,
            },
        ),
        Flavour(
            name="azureml",
            title="Azure ML",
            lacks={
                "artifacts": "Azure ML keeps files in its own storage; fetch them by az ml job download --name RUN, or "
                "by mlflow with azureml-mlflow",
                "rename": "Azure ML cannot rename a registered model; register it anew under the other name",
                "delete": "Azure ML cannot delete a whole registered model; delete its versions, or archive it by az "
                "ml model archive",
            },
        ),
    )
}

_HOSTS: Final = (
    (".azuredatabricks.net", ("databricks", "unity-catalog")),
    (".cloud.databricks.com", ("databricks", "unity-catalog")),
    (".gcp.databricks.com", ("databricks", "unity-catalog")),
    (".api.azureml.ms", ("azureml",)),
    (".experiments.sagemaker.aws", ("sagemaker",)),
    (".dagshub.com", ("dagshub",)),
)
_SCHEMES: Final = {
    "arn": ("sagemaker",),
    "databricks": ("databricks", "unity-catalog"),
    "databricks-uc": ("unity-catalog",),
    "azureml": ("azureml",),
}
_OPTIONS_OF: Final = {
    "arn": ("sagemaker",),
    "profile": ("sagemaker", "databricks", "unity-catalog"),
    "workspace": ("oss",),
}


class Who(Protocol):
    """As far as requests know it, how one says who one is."""

    @property
    def username(self) -> str: ...

    @property
    def named(self) -> str: ...

    @property
    def there(self) -> bool: ...

    def secret(self) -> str: ...


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A server, as a context names it: what it is, where, and who asks."""

    flavour: Flavour
    address: str
    login: Who
    signer: Signer | None = None
    arn: str = ""

    @property
    def key(self) -> str:
        """What tells it from other servers; several of SageMaker's share one address."""
        return self.arn or self.address

    def environment(self) -> dict[str, str]:
        """By which an MLflow client in a child process reaches it. It holds the secret."""
        if self.signer is not None:
            # The client signs by its plugin, sagemaker-mlflow, from the same credentials.
            named = {"AWS_PROFILE": self.signer.profile} if self.signer.profile else {}
            return {"MLFLOW_TRACKING_URI": self.arn, "AWS_DEFAULT_REGION": self.signer.region, **named}
        secret = self.login.secret() if self.login.there else ""
        if self.flavour.files is Files.SIGNED:
            registry = "databricks-uc" if self.flavour.registry else "databricks"
            return {
                "MLFLOW_TRACKING_URI": "databricks",
                "MLFLOW_REGISTRY_URI": registry,
                "DATABRICKS_HOST": self.address,
                "DATABRICKS_TOKEN": secret,
            }
        found = {"MLFLOW_TRACKING_URI": self.address}
        if secret and self.login.username:
            found |= {"MLFLOW_TRACKING_USERNAME": self.login.username, "MLFLOW_TRACKING_PASSWORD": secret}
        elif secret:
            found["MLFLOW_TRACKING_TOKEN"] = secret
        return found


def flavour(name: str) -> Flavour:
    """By its name; no name is MLflow's own server."""
    found = FLAVOURS.get(name or "oss")
    if found is None:
        near = difflib.get_close_matches(name, FLAVOURS, n=1, cutoff=0.5)
        raise Invalid(
            f"there is no flavor {name[:60]}{f'; did you mean {near[0]}?' if near else '.'} There are "
            f"{', '.join(sorted(FLAVOURS))}",
            "options.flavor",
        )
    return found


def place(url: str, login: Login, options: Mapping[str, str]) -> Place:
    """What `mlflow+https://…`, `mlflow+arn:aws:sagemaker:…`, `mlflow+databricks://PROFILE`, `mlflow+azureml://…` says.

    Invalid where address, flavour, options and login do not go together, with what would.
    """
    plain = url.removeprefix("mlflow+")
    scheme = plain.partition(":")[0]
    found = _chosen(plain, scheme, options.get("flavor", ""))
    for option, owners in _OPTIONS_OF.items():
        if options.get(option) and found.name not in owners:
            raise Invalid(
                f"the option {option} is of flavor {' or '.join(owners)}, and this is {found.name}; take it out, or "
                f"say flavor={owners[0]}",
                f"options.{option}",
            )
    if found.name == "sagemaker":
        return _sagemaker(found, plain, scheme, login, options)
    if found.files is Files.SIGNED:
        return _databricks(found, plain, scheme, login, options)
    address = checked_address(f"https{plain.removeprefix('azureml')}" if scheme == "azureml" else plain)
    if found.name == "azureml":
        _check_azureml(address, login)
    if found.name == "dagshub":
        address = _dagshub_address(address)
        if login.there and not login.username:
            raise Invalid(
                "DagsHub wants a user name with the token: give --username NAME, and the token's place as its password",
                "username",
            )
    return Place(flavour=found, address=address, login=login)


def _chosen(plain: str, scheme: str, named: str) -> Flavour:
    """The flavour that is named, or that the address tells; never one that the address contradicts."""
    try:
        host = urlsplit(plain).hostname or ""
    except ValueError:  # half a bracket: who checks the address says so
        host = ""
    told = _SCHEMES.get(scheme) or _of_host(host)
    if named and told and named not in told:
        flavour(named)  # a name that is none is told first
        raise Invalid(
            f"the address is one of {FLAVOURS[told[0]].title}, and flavor {named} is named; take the flavor "
            f"out, or say flavor={' or '.join(told)}",
            "options.flavor",
        )
    return flavour(named or (told[0] if told else ""))


def _of_host(host: str) -> tuple[str, ...]:
    return next((names for ending, names in _HOSTS if f".{host}".endswith(ending)), ())


def _sagemaker(found: Flavour, plain: str, scheme: str, login: Login, options: Mapping[str, str]) -> Place:
    from backends.mlflow.aws import Signer, server  # only for a server of this kind

    if login.there or login.username:
        raise Invalid(
            "SageMaker is told who asks by AWS signatures, so there is no token or user name to give; take it out. The "
            "keys come from the environment, ~/.aws, or --option profile=NAME",
            "token_env",
        )
    arn = plain if scheme == "arn" else options.get("arn", "")
    if not arn:
        raise Invalid(
            "which SageMaker server? Give its ARN as the address, "
            "arn:aws:sagemaker:REGION:ACCOUNT:mlflow-tracking-server/NAME, or beside another with --option arn=…",
            "options.arn",
        )
    if scheme == "arn" and options.get("arn", arn) != arn:
        raise Invalid("the address is one ARN and the option arn is another; take the option out", "options.arn")
    told = server(arn)
    address = told.address if scheme == "arn" else checked_address(plain)
    return Place(
        flavour=found, address=address, login=login, signer=Signer.of(told, options.get("profile", "")), arn=arn
    )


def _databricks(found: Flavour, plain: str, scheme: str, login: Login, options: Mapping[str, str]) -> Place:
    from backends.mlflow.databricks import DatabricksLogin, find  # only for a server of this kind

    if login.username:
        raise Invalid("Databricks takes tokens and no passwords; take the user name out", "username")
    profile = options.get("profile", "")
    if scheme in ("databricks", "databricks-uc"):
        account = find(plain.partition("://")[2].strip("/") or profile)
        return Place(
            flavour=found,
            address=checked_address(account.host),
            login=login if login.there else DatabricksLogin(account=account),
        )
    address = checked_address(plain)
    if login.there:
        return Place(flavour=found, address=address, login=login)
    return Place(flavour=found, address=address, login=DatabricksLogin(account=find(profile, address)))


def _check_azureml(address: str, login: Login) -> None:
    if "/workspaces/" not in address:
        raise Invalid(
            "Azure ML's address names the workspace: azureml://REGION.api.azureml.ms/mlflow/v1.0/subscriptions/…/"
            "workspaces/NAME; az ml workspace show --query mlflow_tracking_uri prints it",
            "url",
        )
    if not login.there or login.username:
        raise Invalid(
            'Azure ML takes a token and no password: --token-command "az account get-access-token --resource '
            'https://ml.azure.com --query accessToken -o tsv"',
            "token_command",
        )


def _dagshub_address(address: str) -> str:
    parts = urlsplit(address)
    if len([part for part in parts.path.split("/") if part]) < 2:
        raise Invalid("DagsHub's MLflow is a repository's: https://dagshub.com/USER/REPO.mlflow", "url")
    return address if address.endswith(".mlflow") else f"{address}.mlflow"

"""Contexts, paths and who is asking: everything a session needs to know before it opens a backend.

A context in `config.toml` names what the console works on, like a kubectl context:

    [contexts.team]
    workspace  = "/srv/models"     # the embedded store, in this directory; or
    registry   = "mlflow+https://mlflow.example.org"
    production = true              # badge, typed confirmation
    read_only  = false
    launcher   = "ray+https://head:8265"   # where runs are carried out: backends/launchers.py; this machine by default

    [contexts.team.retention]      # what is kept, for how long: console/retention/policy.py
    keep_deleted = "30 d"

    [contexts.team.metrics]        # where services are measured: console/services/table.py
    url = "prometheus+https://prometheus.example.org"

    [[notify]]                     # where alerts go: console/alerting/channels.py
    name = "oncall"
    kind = "webhook"

Without a file there is one context, `local`, at the default workspace.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import platformdirs

from backends.contract import Backend, Invalid, Mutation, NotFound
from backends.entities import LauncherRef
from backends.login import Login
from console.alerting.channels import Channel, read_channels
from console.capacity import CapacityTable
from console.retention.policy import RetentionPolicy
from console.services.table import MetricsTable

T = TypeVar("T")

APP = "mlops-console"
LOCAL = "local"
"""The context that is always there."""


class Context(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the console works on, and how careful it is there."""

    name: str
    workspace: str = ""
    """Directory of the embedded store; for a remote registry, where its sidecar lives."""
    registry: str = ""
    """URL of a remote backend for runs and models, or empty for the embedded store."""
    production: bool = False
    """Badge on every screen; promotions ask for the model's name to be typed."""
    read_only: bool = False
    approvals: int = 0
    """How many people besides the asking one must agree to a promotion."""
    note: str = ""
    token_env: str = ""
    """Environment variable that holds the registry's token, or with `username` its password."""
    token_file: str = ""
    """File that holds it, mode 0600."""
    token_command: str = ""
    """Command that prints it."""
    username: str = ""
    retention: RetentionPolicy | None = None
    """What is kept, for how long; the agent applies it once a day. Without it nothing goes by itself."""
    capacity: CapacityTable = CapacityTable()
    """Read by the agent of the workspace when it starts."""
    metrics: str | MetricsTable = ""
    """Where figures of services are read: `prometheus+https://…`, or a table with that as its url."""
    options: dict[str, str] = {}
    """What the adapter wants to know besides: `flavor`, `workspace`, `ca_file`, …"""
    launcher: str = ""
    """The cluster that runs are launched on: `ray+https://…`, `slurm:`; empty for this machine."""
    launcher_token_env: str = ""
    """As `token_env`, of the launcher."""
    launcher_token_file: str = ""
    launcher_token_command: str = ""
    launcher_options: dict[str, str] = {}
    """What the launcher wants to know besides: `agent`, `python`, `partition`, …"""

    @property
    def login(self) -> Login:
        """Where the secret is."""
        return Login(username=self.username, env=self.token_env, file=self.token_file, command=self.token_command)

    @property
    def metrics_table(self) -> MetricsTable | None:
        found = MetricsTable(url=self.metrics) if isinstance(self.metrics, str) else self.metrics
        return found if found.url else None

    @property
    def launcher_ref(self) -> LauncherRef | None:
        """The cluster that runs are launched on; None for this machine."""
        if not self.launcher:
            return None
        return LauncherRef(
            url=self.launcher, token_env=self.launcher_token_env, token_file=self.launcher_token_file,
            token_command=self.launcher_token_command, options=self.launcher_options,
        )  # fmt: skip

    @property
    def url(self) -> str:
        return self.registry or f"local:{self.workspace}"

    @property
    def directory(self) -> Path | None:
        """The workspace directory, where the context has one."""
        return Path(self.workspace) if self.workspace else None


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """House rules that new things start with."""

    monitor: dict[str, float] = {}
    """Alert policy of monitors made without one, e.g. `psi = 0.25`."""


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What `config.toml` says, completed with the defaults."""

    contexts: dict[str, Context]
    current: str
    """The context that is used when none is named."""
    policies: Policies = Policies()
    notify: tuple[Channel, ...] = ()
    """Where alerts go."""
    path: Path
    """Where it was read from, or would be."""

    def context(self, name: str = "") -> Context:
        """The named context, or the current one."""
        wanted = name or self.current
        found = self.contexts.get(wanted)
        if found is None:
            raise NotFound(
                f"context {wanted}: not in {self.path}{nearest(wanted, self.contexts)}; "
                f"it has {', '.join(sorted(self.contexts))}"
            )
        return found


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One open console: a context, its backend, and the person."""

    context: Context
    backend: Backend
    actor: str
    workspace: Path | None
    policies: Policies = Policies()

    def mutation(self, reason: str = "", key: str = "") -> Mutation:
        """A change by this session's person."""
        return Mutation(actor=self.actor, reason=reason, key=key)


# ---------------------------------------------------------------- paths


def config_path() -> Path:
    """`$MLOPS_CONSOLE_CONFIG`, or `config.toml` in the user's configuration directory."""
    named = os.environ.get("MLOPS_CONSOLE_CONFIG", "")
    return Path(named).expanduser() if named else platformdirs.user_config_path(APP) / "config.toml"


def keymap_path() -> Path:
    """The person's own keys, beside the configuration."""
    return config_path().with_name("keymap.toml")


def current_context_path() -> Path:
    """The file that `context use` writes, apart from config.toml: no program rewrites what a person wrote."""
    return config_path().with_name("current-context")


def data_directory() -> Path:
    return platformdirs.user_data_path(APP)


def state_directory() -> Path:
    """What may be lost without harm: remembered skeletons, command history."""
    return platformdirs.user_state_path(APP)


def default_workspace() -> Path:
    """`$MLOPS_CONSOLE_WORKSPACE`, or `workspace` in the user's data directory."""
    named = os.environ.get("MLOPS_CONSOLE_WORKSPACE", "")
    return Path(named).expanduser().absolute() if named else data_directory() / "workspace"


# ---------------------------------------------------------------- who


def current_actor() -> str:
    """`user@host`: what the journal writes down."""
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container with a user id that has no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname().split('.')[0] or 'localhost'}"


# ---------------------------------------------------------------- reading


def load_config(path: Path | None = None) -> Config:
    """Read the configuration. A wrong one is `Invalid` and names the file, the key and the nearest valid key."""
    source = path or config_path()
    raw = _read_toml(source)
    _known(raw, ("contexts", "policies", "notify"), source, "")
    tables = raw.get("contexts", {})
    if not isinstance(tables, dict):
        raise Invalid(f"{source}: contexts must be tables such as [contexts.team]", "contexts")
    contexts = {LOCAL: Context(name=LOCAL, workspace=str(default_workspace()))}
    for name, table in tables.items():
        contexts[name] = read_context(name, table, source)
    policies = raw.get("policies", {})
    if isinstance(policies, dict):
        _known(policies, Policies.__struct_fields__, source, "policies")
    return Config(
        contexts=contexts,
        current=_current(source.with_name("current-context")),
        policies=_convert(policies, Policies, source, "policies"),
        notify=read_channels(raw["notify"], source) if "notify" in raw else (),
        path=source,
    )


def use_context(name: str) -> Context:
    """Make the context the one that is used when none is named."""
    context = load_config().context(name)
    target = current_context_path()
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f"{target.name}.{os.getpid()}")
    fresh.write_text(name + "\n", encoding="utf-8")
    fresh.replace(target)
    return context


def nearest(word: str, valid: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing when no valid word is near."""
    close = difflib.get_close_matches(word, list(valid), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def _read_toml(source: Path) -> dict[str, Any]:
    try:
        text = source.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Invalid(f"{source}: cannot be read: {error.strerror}") from error
    import tomllib  # only where there is a file

    try:
        return tomllib.loads(text.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Invalid(f"{source}: not valid TOML: {error}") from error


def _current(path: Path) -> str:
    named = os.environ.get("MLOPS_CONSOLE_CONTEXT", "")
    if named:
        return named
    try:
        return path.read_text(encoding="utf-8").strip() or LOCAL
    except (OSError, UnicodeDecodeError):
        return LOCAL


def read_context(name: str, table: object, source: Path) -> Context:
    """A table as a context. Invalid, with file and key, for what it cannot be."""
    where = f"contexts.{name}"
    if not isinstance(table, dict):
        raise Invalid(f"{source}: {where} must be a table: [{where}]", where)
    _known(table, [field for field in Context.__struct_fields__ if field != "name"], source, where)
    context = _convert({**table, "name": name}, Context, source, where)
    if not 0 <= context.approvals <= 20:
        dotted = f"{where}.approvals"
        raise Invalid(f"{source}: {dotted} = {context.approvals}: 0 to 20 people are wanted", dotted)
    _check_login(context, source, where)
    if isinstance(context.metrics, MetricsTable):
        try:
            context.metrics.check()
        except Invalid as error:
            dotted = f"{where}.metrics{f'.{error.field}' if error.field else ''}"
            raise Invalid(f"{source}: {dotted}: {error}", dotted) from error
    if context.retention is not None:
        try:
            context.retention.limits()
        except Invalid as error:
            dotted = f"{where}.retention.{error.field}"
            raise Invalid(f"{source}: {dotted}: {error}", dotted) from error
    if context.workspace:
        home = Path(context.workspace).expanduser()
        if not home.is_absolute():
            raise Invalid(
                f"{source}: {where}.workspace: {context.workspace} is not an absolute path", f"{where}.workspace"
            )
        return msgspec.structs.replace(context, workspace=str(home))
    if context.registry:
        return msgspec.structs.replace(context, workspace=str(data_directory() / "contexts" / name))
    raise Invalid(f"{source}: {where} names neither a workspace nor a registry; give one of them", where)


def _check_login(context: Context, source: Path, where: str) -> None:
    given = [key for key in ("token_env", "token_file", "token_command") if getattr(context, key)]
    if len(given) > 1:
        raise Invalid(f"{source}: {where}: {' and '.join(given)} both name a secret; give one of them", where)
    launcher = [key for key in ("token_env", "token_file", "token_command") if getattr(context, f"launcher_{key}")]
    if len(launcher) > 1:
        both = " and ".join(f"launcher_{key}" for key in launcher)
        raise Invalid(f"{source}: {where}: {both} both name a secret; give one of them", where)
    if (launcher or context.launcher_options) and not context.launcher:
        raise Invalid(
            f"{source}: {where}: launcher_{launcher[0] if launcher else 'options'} is for a launcher, and none is "
            'named; add launcher = "…"',
            where,
        )
    if (given or context.username) and not context.registry:
        raise Invalid(f"{source}: {where}: a login is for a registry, and none is named", where)
    if context.username and not given:
        raise Invalid(
            f"{source}: {where}.username: its password is wanted too, by token_env, token_file or token_command", where
        )


def _known(table: Mapping[str, object], valid: Iterable[str], source: Path, where: str) -> None:
    names = list(valid)
    for key in table:
        if key not in names:
            dotted = f"{where}.{key}" if where else key
            raise Invalid(f"{source}: unknown key {dotted}{nearest(key, names)}; valid are {', '.join(names)}", dotted)


def _convert(raw: object, kind: type[T], source: Path, where: str) -> T:
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        # msgspec ends its sentence with the place: "… - at `$.production`"
        sentence, _, place = str(error).partition(" - at `$")
        dotted = where + place.rstrip("`")
        raise Invalid(f"{source}: {dotted}: {sentence}", dotted) from error


# ---------------------------------------------------------------- opening


def choose_context(config: Config, context: str | None, workspace: Path | None) -> Context:
    """The context that the command line asks for; `workspace` moves a local one to another directory.

    A bare `workspace` that a context already names is opened as that context, so that a production store keeps its care
    whichever way it is reached.
    """
    if workspace is None:
        return config.context(context or "")
    directory = str(workspace.expanduser().absolute())
    if not context:
        owners = [known for known in config.contexts.values() if not known.registry and known.workspace == directory]
        return owners[-1] if owners else Context(name=LOCAL, workspace=directory)
    chosen = config.context(context)
    if chosen.registry:
        raise Invalid(
            f"--workspace with context {chosen.name}: its runs and models are at {chosen.registry}; name one of both",
            "workspace",
        )
    return msgspec.structs.replace(chosen, workspace=directory)


def open_session(context: str | None = None, workspace: Path | None = None, read_only: bool = False) -> Session:
    """Open the context's backend; the store is made where there is none yet."""
    from backends.connect import connect
    from console.promotion.protect import guarded

    config = load_config()
    chosen = choose_context(config, context, workspace)
    if read_only:
        chosen = msgspec.structs.replace(chosen, read_only=True)
    home = chosen.directory
    backend = connect(
        chosen.name,
        chosen.url,
        sidecar=home if chosen.registry else None,
        read_only=chosen.read_only,
        login=chosen.login,
        options=chosen.options,
        launcher=chosen.launcher_ref,
    )
    backend = guarded(msgspec.structs.replace(backend, approvals=chosen.approvals))
    if chosen.metrics_table is not None:
        from console.services.source import with_metrics

        backend = with_metrics(backend, chosen.metrics_table)
    return Session(
        context=chosen, backend=backend, actor=current_actor(), workspace=backend.home or home, policies=config.policies
    )

"""What `[contexts.NAME.metrics]` of config.toml says. Light: the configuration reads it.

    [contexts.team.metrics]
    url       = "prometheus+https://prometheus.example.org"
    token_env = "PROM_TOKEN"          # or token_file, token_command; with username it is a password
    tenant    = "ml"                  # X-Scope-OrgID, for Mimir

    [contexts.team.metrics.services.fraud]
    kind    = "http"                  # whose names: console (our own server's), http, bentoml
    labels  = { job = "fraud", namespace = "~prod-.*" }
    monitor = "fraud-live"            # whose time axis it stands on; without it the monitor or deployment of its name

    [contexts.team.metrics.services.fraud.queries]   # in place of the defaults, one by one
    p99 = 'histogram_quantile(0.99, sum by (le) (rate(fraud_seconds_bucket{$labels}[$range])))'

A deployment of the console's own server needs no table: its series carry its name.
"""

from __future__ import annotations

import msgspec

from backends.contract import Invalid
from backends.entities import QUANTITIES, Service
from backends.login import Login


class ServiceTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One service. What is left out is as in `Service`."""

    kind: str = "console"
    labels: dict[str, str] = {}
    queries: dict[str, str] = {}
    version_label: str = "version"
    status_label: str = ""
    failed: str = "[45].."
    every: float = 0.0
    """Seconds between two samples; 0 to find out."""
    monitor: str = ""

    def service(self, name: str) -> Service:
        return Service(
            name=name,
            kind=self.kind,
            labels=self.labels,
            queries=self.queries,
            version_label=self.version_label,
            status_labels=(self.status_label,) if self.status_label else (),
            failed=self.failed,
            every=self.every,
        )


class MetricsTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A metrics store and what is read of it."""

    url: str = ""
    token_env: str = ""
    token_file: str = ""
    token_command: str = ""
    username: str = ""
    tenant: str = ""
    ca_file: str = ""
    timeout: float = 0.0
    """Seconds that an answer may take; 0 for the adapter's own."""
    services: dict[str, ServiceTable] = {}

    @property
    def login(self) -> Login:
        """Where the secret is."""
        return Login(username=self.username, env=self.token_env, file=self.token_file, command=self.token_command)

    @property
    def options(self) -> dict[str, str]:
        given = {"tenant": self.tenant, "ca_file": self.ca_file, "timeout": f"{self.timeout:g}" if self.timeout else ""}
        return {name: value for name, value in given.items() if value}

    def check(self) -> None:
        """Invalid, with the key, for what can be told without asking anybody."""
        if not self.url:
            raise Invalid('url is wanted, such as "prometheus+https://prometheus.example.org"', "url")
        given = [key for key in ("token_env", "token_file", "token_command") if getattr(self, key)]
        if len(given) > 1:
            raise Invalid(f"{' and '.join(given)} both name a secret; give one of them", given[1])
        if self.username and not given:
            raise Invalid("its password is wanted too, by token_env, token_file or token_command", "username")
        for name, each in self.services.items():
            where = f"services.{name}"
            if not each.labels and not each.queries:
                raise Invalid("labels are wanted, by which its series are told from others'", f"{where}.labels")
            for quantity in each.queries:
                if quantity not in QUANTITIES:
                    wrong = f"there is no quantity {quantity[:40]}; there are {', '.join(QUANTITIES)}"
                    raise Invalid(wrong, f"{where}.queries")
            if each.every < 0:
                raise Invalid(f"every = {each.every:g}: seconds are wanted", f"{where}.every")

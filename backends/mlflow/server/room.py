"""What every handler works with: the backend, who asks, and how names and numbers of experiments go together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from backends.contract import Backend, Conflict, Mutation, NotFound, all_pages
from backends.entities import Experiment, Run
from backends.mlflow.server.answers import Failure

DEFAULT_ID: Final = "0"
DEFAULT: Final = "default"
"""Clients that name no experiment log to number 0, which they call Default."""
_FRESH_S: Final = 1.0


class Caller(msgspec.Struct, frozen=True):
    """Who a token stands for."""

    actor: str
    run: str = ""
    """The run that the token was given to, where it was given to one."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """MLflow's own limits where it has one; past them a clear error, never a cut."""

    body: int = 16 * 1024 * 1024
    """Bytes of a JSON body: a dataset's profile alone may have 16 MB."""
    batch: int = 1_048_576
    artifact: int = 16 * 1024**3
    key: int = 250
    param: int = 6_000
    tag: int = 8_000
    registry_tag: int = 100_000
    batch_metrics: int = 1_000
    batch_params: int = 100
    batch_tags: int = 100
    batch_total: int = 1_000


class Room:
    """One backend, as its handlers see it."""

    def __init__(self, backend: Backend, supervised: Callable[[str], bool], limits: Limits) -> None:
        self.backend = backend
        self.supervised = supervised
        self.limits = limits
        self.writing = threading.Lock()
        """Writes take turns here: waiting for a lock of the store is polling."""
        self._experiments: dict[str, str] = {}
        self._read_at = 0.0
        self._local = threading.local()

    # ------------------------------------------------------------ who

    @property
    def caller(self) -> Caller:
        found: Caller = self._local.caller
        return found

    @caller.setter
    def caller(self, caller: Caller) -> None:
        self._local.caller = caller

    def mutation(self, action: str = "") -> Mutation:
        return Mutation(actor=self.caller.actor, reason="over the MLflow protocol", action=action)

    # ------------------------------------------------------------ experiments

    def id_of(self, name: str) -> str:
        """The number under which clients know an experiment."""
        if name == DEFAULT:
            return DEFAULT_ID
        if name not in self._experiments or time.monotonic() - self._read_at > _FRESH_S:
            self._read_experiments()
        return self._experiments.get(name, name)

    def _read_experiments(self) -> None:
        experiments = self.backend.need("experiments")
        found: dict[str, str] = {}
        for deleted in (False, True):
            for each in all_pages(lambda at, deleted=deleted: experiments.page(at=at, limit=1_000, deleted=deleted)):  # type: ignore[misc]
                found[each.name] = each.id
        self._experiments, self._read_at = found, time.monotonic()

    def forget_experiments(self) -> None:
        self._read_at = 0.0

    def experiment(self, number: str) -> Experiment:
        """By the number that clients know."""
        store = self.backend.need("experiments")
        try:
            found: Experiment = store.get(DEFAULT if number == DEFAULT_ID else number)
        except NotFound:
            if number != DEFAULT_ID:
                raise Failure("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={number} exists") from None
            try:
                found = store.create(DEFAULT, self.mutation())
            except Conflict:  # somebody else made it meanwhile
                found = store.get(DEFAULT)
        if found.id != number and number != DEFAULT_ID:  # a name that was taken for a number
            raise Failure("RESOURCE_DOES_NOT_EXIST", f"No Experiment with id={number} exists")
        return found

    def names_of(self, numbers: Iterable[str]) -> list[str]:
        """Names of those experiments that are there."""
        self._read_experiments()
        by_number = {self.id_of(name): name for name in self._experiments}
        return [by_number[number] for number in dict.fromkeys(numbers) if number in by_number]

    # ------------------------------------------------------------ runs

    def run(self, run: str) -> Run:
        """By its whole id: clients mean no abbreviation."""
        try:
            found: Run = self.backend.need("runs").get(run)
        except NotFound:
            raise Failure("RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found") from None
        if found.id != run:
            raise Failure("RESOURCE_DOES_NOT_EXIST", f"Run with id={run} not found")
        return found

    def living_run(self, run: str) -> Run:
        found = self.run(run)
        if found.deleted_at is not None:
            raise Failure(
                "INVALID_PARAMETER_VALUE",
                f"The run {run} must be in the 'active' state. Current state is deleted. Restore it first.",
            )
        return found

    # ------------------------------------------------------------ limits

    def check_key(self, what: str, key: str) -> None:
        if len(key) > self.limits.key:
            raise Failure(
                "INVALID_PARAMETER_VALUE",
                f"{what} key '{key[:40]}…' has {len(key)} characters, at most {self.limits.key} are taken; nothing was "
                "logged",
            )

    def check_value(self, what: str, key: str, value: str, most: int) -> None:
        """MLflow cuts longer ones in silence; we say so."""
        if len(value) > most:
            raise Failure(
                "INVALID_PARAMETER_VALUE",
                f"{what} '{key[:40]}' had a value of {len(value):,} characters, at most {most:,} are taken; nothing "
                "was logged. Log it as an artifact (mlflow.log_text)",
            )

"""Logged models of an MLflow server: the verbs of `LoggedModelStore` over the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from backends.contract import END, START, Invalid, Mutation, NotFound, Page, Unsupported
from backends.entities import LoggedMetric, LoggedModel, ModelOutput
from backends.mlflow import decode
from backends.mlflow.client_experiments import MlflowExperiments
from backends.mlflow.client_room import Room

_STATUS: Final = {
    "ready": "LOGGED_MODEL_READY",
    "failed": "LOGGED_MODEL_UPLOAD_FAILED",
    "pending": "LOGGED_MODEL_PENDING",
}
_SERVERS_OWN: Final = "token:"
"""How cursors begin that are a server's tokens."""


class MlflowLoggedModels:
    """`LoggedModelStore` over the protocol."""

    def __init__(self, room: Room, experiments: MlflowExperiments) -> None:
        self._room = room
        self._experiments = experiments

    def page(
        self, *, experiments: Sequence[str] = (), run: str = "", at: str = START, limit: int = 100
    ) -> Page[LoggedModel]:
        if at == END:
            raise Unsupported("logged models are listed from the newest on: the server knows no way from the end")
        ids = self._experiments.ids(frozenset(experiments) if experiments else None)
        if not ids:
            return Page(items=())
        body: dict[str, Any] = {"experiment_ids": ids, "max_results": min(limit, 1_000)}
        if run:
            body["filter"] = f"source_run_id = '{run}'"
        if at != START:
            if not at.startswith(_SERVERS_OWN):  # a server may answer 500 for a token that is none
                raise Invalid(f"{at!r} is no cursor of this list; start again from the first page.", "at")
            body["page_token"] = at.removeprefix(_SERVERS_OWN)
        found = self._room.transport.search("logged-models/search", body)
        following = found.get("next_page_token")
        return Page(
            items=tuple(self._model(each) for each in found.get("models", ())),
            next=f"{_SERVERS_OWN}{following}" if following else None,
        )

    def _model(self, found: dict[str, Any]) -> LoggedModel:
        number = decode.experiment_of(found)
        return decode.logged_model(found, self._experiments.name_of(number))

    def get(self, model: str) -> LoggedModel:
        try:
            return self._model(self._room.transport.get(f"logged-models/{_id(model)}")["model"])
        except (NotFound, Invalid):
            raise NotFound(f"logged model {model} is not there; give the id of one, such as m-1f…") from None

    def create(
        self,
        *,
        name: str,
        experiment: str,
        mutation: Mutation,
        run: str = "",
        type: str = "",  # noqa: A002
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
        id: str = "",  # noqa: A002
    ) -> LoggedModel:
        if id:
            raise Unsupported("an MLflow server gives its models their ids itself; nothing was made. Leave the id out.")
        made = self._room.state.made_before("logged_model.create", mutation)
        if made is not None:
            return self.get(made)
        body = {
            "experiment_id": self._experiments.ensure(experiment),
            "name": name,
            "model_type": type,
            "source_run_id": run,
            "params": [{"key": key, "value": value} for key, value in (params or {}).items()],
            "tags": [{"key": key, "value": value} for key, value in (tags or {}).items()],
        }
        answer = self._room.change("POST", "logged-models", {key: value for key, value in body.items() if value})
        found = self._model(answer["model"])
        self._room.state.note("logged_model.create", mutation, found.id)
        return found

    def finish(self, model: str, status: str) -> LoggedModel:
        if status not in _STATUS:
            raise Invalid(f"a logged model is {', '.join(_STATUS)}, not {status}; nothing was changed.", "status")
        body = {"model_id": model, "status": _STATUS[status]}
        return self._model(self._room.change("PATCH", f"logged-models/{_id(model)}", body, repeatable=True)["model"])

    def log_params(self, model: str, params: dict[str, str]) -> None:
        body = {"params": [{"key": key, "value": value} for key, value in params.items()]}
        self._room.change("POST", f"logged-models/{_id(model)}/params", body)

    def log_metrics(self, model: str, metrics: Sequence[LoggedMetric]) -> None:
        for run in {each.run for each in metrics}:
            if not run:
                raise Unsupported("an MLflow server keeps a model's metric with the run that measured it; name the run")
            points = [
                {
                    "key": each.key,
                    "value": each.value,
                    "timestamp": each.at,
                    "step": each.step,
                    "model_id": model,
                    "dataset_name": each.dataset,
                    "dataset_digest": each.digest,
                }
                for each in metrics
                if each.run == run
            ]
            self._room.change("POST", "runs/log-batch", {"run_id": run, "metrics": points})

    def set_tags(self, model: str, tags: dict[str, str | None], mutation: Mutation) -> None:
        if self._room.state.made_before("logged_model.tag", mutation) is not None:
            return
        given = [{"key": key, "value": value} for key, value in tags.items() if value is not None]
        if given:
            self._room.change("PATCH", f"logged-models/{_id(model)}/tags", {"tags": given}, repeatable=True)
        for key in [key for key, value in tags.items() if value is None]:
            try:
                self._room.change("DELETE", f"logged-models/{_id(model)}/tags/{key}", {})
            except NotFound:
                pass  # it is away, as wanted
        self._room.state.note("logged_model.tag", mutation)

    def delete(self, model: str, mutation: Mutation) -> None:
        if self._room.state.made_before("logged_model.delete", mutation) is not None:
            return
        self._room.change("DELETE", f"logged-models/{_id(model)}", {})
        self._room.record("logged_model.delete", model, mutation)
        self._room.state.note("logged_model.delete", mutation)

    def add_outputs(self, run: str, outputs: Sequence[ModelOutput]) -> None:
        models = [{"model_id": each.model, "step": each.step} for each in outputs]
        self._room.change("POST", "runs/outputs", {"run_id": run, "models": models})

    def outputs(self, run: str) -> tuple[ModelOutput, ...]:
        return decode.outputs(self._room.transport.get("runs/get", {"run_id": run})["run"])


def _id(model: str) -> str:
    if not model.startswith("m-") or not model[2:].replace("-", "").isalnum():
        raise NotFound(f"logged model {model[:80]} is not there; give the id of one, such as m-1f…")
    return model

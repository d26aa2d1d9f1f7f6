"""Prompts: what a registry keeps under a model's name that is a text, with versions and aliases like a model's.

MLflow keeps the text and its type in tags of the version. Promotion, rollback and undo are those of models; only the
gates are others, because there is no file, no run and no metric to judge by.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import Final

from backends.contract import Backend
from backends.entities import GateResult, GateStatus, Model, ModelVersion
from console.promotion.result import result

KIND: Final = "prompt"
TEXT: Final = "mlflow.prompt.text"
TYPE: Final = "_mlflow_prompt_type"
FORMAT: Final = "_mlflow_prompt_response_format"
CONFIG: Final = "_mlflow_prompt_model_config"
USUAL_ALIAS: Final = "production"
"""What MLflow's own guides call the alias that callers load."""
_VARIABLE: Final = re.compile(r"\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}\}", re.ASCII)
"""MLflow's spelling of a place that callers fill."""


def is_prompt(backend: Backend, name: str) -> bool:
    """Whether the registry keeps a prompt under this name. Asked of the name and never of a version's tags: whoever may
    tag a version could pass by a model's gates otherwise."""
    found: Model = backend.need("registry").get(name)
    return found.kind == KIND


def text_of(version: ModelVersion) -> str:
    """The text; a chat as `role: content`, a message a paragraph."""
    raw = version.tags.get(TEXT, "")
    if type_of(version) != "chat":
        return raw
    try:
        messages = json.loads(raw)
        return "\n\n".join(f"{each['role']}: {each['content']}" for each in messages)
    except (ValueError, TypeError, KeyError):
        return raw  # a chat in no shape that we know: as it stands


def type_of(version: ModelVersion) -> str:
    """`text` or `chat`."""
    return version.tags.get(TYPE, "text")


def variables_of(version: ModelVersion) -> tuple[str, ...]:
    """What callers fill in, in the order of the text."""
    return tuple(dict.fromkeys(_VARIABLE.findall(version.tags.get(TEXT, ""))))


def difference(before: ModelVersion | None, after: ModelVersion) -> list[str]:
    """Lines of the text that go (`-`) and come (`+`), with one unchanged line (` `) around them and `…` between; all of
    the text where there is nothing to compare with."""
    old = text_of(before).splitlines() if before is not None else []
    lines = difflib.unified_diff(old, text_of(after).splitlines(), lineterm="", n=1)
    return ["…" if line.startswith("@@") else line for line in lines][3:]  # after two names and the first @@


def only_alias(prompt: Model) -> str:
    """The alias that is meant where a prompt has one only; empty otherwise."""
    return next(iter(prompt.aliases)) if len(prompt.aliases) == 1 else ""


# ---------------------------------------------------------------- gates


def prompt_gates(candidate: ModelVersion, holder: ModelVersion | None) -> tuple[GateResult, ...]:
    """Has a text, and can be filled and used by whoever uses the holder."""
    return (text_gate(candidate), type_gate(candidate, holder), variables_gate(candidate, holder))


def text_gate(version: ModelVersion) -> GateResult:
    text = text_of(version)
    if not text.strip():
        return result("text", GateStatus.FAIL, "none", "the version has a text", "register the prompt again")
    return result("text", GateStatus.PASS, f"{len(text)} characters", "the version has a text")


def type_gate(candidate: ModelVersion, holder: ModelVersion | None) -> GateResult:
    rule = "the same type as callers use today"
    mine = type_of(candidate)
    if holder is not None and type_of(holder) != mine:
        detail = f"callers of v{holder.version} get a {type_of(holder)}"
        return result("type", GateStatus.FAIL, mine, rule, detail)
    return result("type", GateStatus.PASS, mine, rule)


def variables_gate(candidate: ModelVersion, holder: ModelVersion | None) -> GateResult:
    """Whoever fills the holder's places fills all of the candidate's."""
    rule = "wants no more than callers fill in today"
    mine = variables_of(candidate)
    if holder is None:
        return result("variables", GateStatus.PASS, ", ".join(mine) or "none", rule)
    theirs = variables_of(holder)
    new = [name for name in mine if name not in theirs]
    gone = [name for name in theirs if name not in mine]
    said = "; ".join(f"{what} {', '.join(names)}" for what, names in (("adds", new), ("removes", gone)) if names)
    if new:
        return result("variables", GateStatus.FAIL, said, rule, f"callers do not fill in {', '.join(new)}")
    return result("variables", GateStatus.PASS, said or "same", rule)

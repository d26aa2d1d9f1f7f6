"""What a registry promises of versions, aliases and their history."""

from __future__ import annotations

from itertools import pairwise

from backends.checks.finding import Unseen, Wrong, listed, shown
from backends.checks.listing import some
from backends.checks.listings import MODELS, VERSIONS, a_model
from backends.checks.look import MANY, Look
from backends.checks.promise import promise
from backends.checks.records import check_times
from backends.entities import AliasMove, Model, ModelVersion
from backends.query import Compare, Key, Query

_LOOKED_AT = 3


def _aliased(look: Look) -> list[Model]:
    found = [model for model in some(look, MODELS) if model.aliases]
    if not found:
        raise Unseen("no model of the first has an alias")
    return found[:_LOOKED_AT]


@promise("registry", "a model says how many versions it has, and which is the latest")
def latest(look: Look) -> str:
    model: Model = look.the("registry").get(a_model(look).name)
    versions: list[ModelVersion] = some(look, VERSIONS)
    newest = versions[0].version
    if model.latest and model.latest != newest:
        raise Wrong(f"latest={newest} of {model.name}, the first of its versions", f"latest={model.latest}")
    if model.versions and model.versions < len({each.version for each in versions}):
        raise Wrong(f"{len(versions)} versions at least of {model.name}", f"versions={model.versions}")
    return f"{shown(model.name, 40)}: {newest}"


@promise("registry", "@alias is the version that the model's aliases name")
def by_alias(look: Look) -> str:
    registry, told = look.the("registry"), []
    for row in _aliased(look):
        model: Model = registry.get(row.name)
        for alias, version in list(model.aliases.items())[:_LOOKED_AT]:
            found: ModelVersion = registry.version(model.name, f"@{alias}")
            if found.version != version:
                raise Wrong(f"v{version} for {model.name}@{alias}", f"v{found.version}")
            if alias not in found.aliases:
                raise Wrong(f"{alias} among the aliases of {found.ref}", listed(list(found.aliases)))
            told.append(f"{shown(model.name, 40)}@{alias}")
    return listed(told)


@promise("registry", "versions name the aliases that point at them, and no others")
def aliases_of_versions(look: Look) -> str:
    registry = look.the("registry")
    for row in _aliased(look):
        model: Model = registry.get(row.name)
        for version in registry.versions(model.name, limit=MANY).items:
            pointing = sorted(alias for alias, at in model.aliases.items() if at == version.version)
            if sorted(version.aliases) != pointing:
                raise Wrong(f"aliases {listed(pointing)} of {version.ref}", listed(sorted(version.aliases)))
    return ""


@promise("registry", "who holds an alias is the same for a list of models as for each of them")
def holders(look: Look) -> str:
    registry, models = look.the("registry"), some(look, MODELS)
    alias = next(iter(_aliased(look)[0].aliases))
    found: dict[str, ModelVersion] = registry.holders(models, alias)
    known = {model.name: model for model in models}
    for name, version in found.items():
        if name not in known:
            raise Wrong(f"holders of {alias} among the models asked for", name)
        if version.version != known[name].aliases.get(alias) or version.model != name:
            raise Wrong(f"v{known[name].aliases.get(alias)} as {alias} of {name}", f"{version.ref}")
    return f"{len(found)} of {alias}"


@promise("registry", "a history comes newest first, of one alias alone where it is named, no longer than its limit")
def history(look: Look) -> str:
    registry = look.the("registry")
    model = next(iter(_aliased(look)), None) or a_model(look)
    moves: tuple[AliasMove, ...] = registry.history(model.name, limit=MANY)
    if not moves:
        raise Unseen(f"nothing is known of how aliases of {model.name} moved")
    if len(moves) > MANY:
        raise Wrong(f"{MANY} moves at most", f"{len(moves)}")
    for one, other in pairwise(moves):
        if one.at < other.at:
            raise Wrong("the newest move first", f"{one.at} before {other.at}")
    for move in moves:
        check_times(move, AliasMove, f"a move of {move.alias}")
        if move.model != model.name:
            raise Wrong(f"moves of {model.name}", f"one of {move.model}")
    alias = moves[0].alias
    other_aliases = {move.alias for move in registry.history(model.name, alias=alias, limit=3)} - {alias}
    if other_aliases:
        raise Wrong(f"moves of {alias} alone", listed(sorted(other_aliases)))
    if len(registry.history(model.name, limit=1)) != 1:
        raise Wrong("one move for limit=1", f"{len(registry.history(model.name, limit=1))}")
    return f"{len(moves)} moves of {shown(model.name, 40)}"


@promise("registry", "the newest move of an alias is where the alias stands")
def history_and_aliases(look: Look) -> str:
    registry, seen = look.the("registry"), 0
    for row in _aliased(look):
        model: Model = registry.get(row.name)
        for alias, version in list(model.aliases.items())[:_LOOKED_AT]:
            moves: tuple[AliasMove, ...] = registry.history(model.name, alias=alias, limit=1)
            if moves and moves[0].version != version:
                raise Wrong(f"{alias} of {model.name} at v{version}, where it is", f"last moved to v{moves[0].version}")
            seen += len(moves)
    if not seen:
        raise Unseen("nothing is known of how these aliases came where they are")
    return f"{seen} aliases"


@promise("registry", "versions of all models are searched by model")
def search(look: Look) -> str:
    registry, model = look.the("registry"), a_model(look)
    query = Query(where=Compare(Key("attribute", "model"), "=", model.name))
    page = registry.search(query, limit=5)
    beside = sorted({each.model for each in page.items} - {model.name})
    if beside:
        raise Wrong(f"versions of {model.name} alone", listed(beside))
    meant = {each.version for each in registry.versions(model.name, limit=MANY).items}
    found = {each.version for each in page.items}
    if not found or not (found <= meant or len(meant) >= MANY):
        raise Wrong(f"versions {listed(sorted(meant), 6)} of {model.name}", listed(sorted(found), 6))
    return f"{len(page.items)}"


@promise("registry", "prompts stand apart from models")
def kinds(look: Look) -> str:
    prompts = look.the("registry").page(limit=MANY, kind="prompt")
    wrong = [each.name for each in prompts.items if each.kind != "prompt"]
    wrong += [each.name for each in some(look, MODELS) if each.kind != "model"]
    if wrong:
        raise Wrong("prompts among the prompts alone", listed(wrong))
    return f"{len(prompts.items)} prompts"


@promise("registry", "a model's files are named by a run, an owner or an address that the versions tell")
def files(look: Look) -> str:
    versions: list[ModelVersion] = some(look, VERSIONS)
    for each in versions:
        if each.file.sha256 and (len(each.file.sha256) != 64 or set(each.file.sha256) - set("0123456789abcdef")):
            raise Wrong(f"64 hexadecimal digits as sha256 of {each.ref}", shown(each.file.sha256))
        if each.file.bytes < 0:
            raise Wrong(f"a size of {each.ref}", f"{each.file.bytes}")
    return f"{sum(bool(each.file.sha256) for each in versions)} of {len(versions)} have a digest"

"""Feature sets defined, computed over a version, and joined onto labels as they were known at the time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from backends.contract import DatasetStore, DefinitionStore, Invalid, Mutation, Refused
from backends.entities import Column, ColumnType, Definition
from console.data.features.compute import Features, bound, defined_state
from console.data.features.grammar import KIND, AppliedTo, FeatureSet, age_of
from console.data.inference import column_type
from console.data.parquet_out import ParquetOut
from console.data.row_hash import KeyIndex
from console.data.staging import own_folder
from console.data.stored import stored_file
from console.data.transform.fitting import Tell, Teller
from console.data.transform.result import MadePart
from console.data.transform.rows import Rows
from console.data.transform.source import Source
from console.data.transform.splitting import ordinals
from console.toml_form import did_you_mean
from console.wording import size

MOST_BYTES = 512 << 20
"""Of keys, times and features of the rows that are joined from, in memory."""
_TIMES = (ColumnType.DATETIME, ColumnType.DATE, ColumnType.INT)


def define_features(
    datasets: DatasetStore, definitions: DefinitionStore, features: FeatureSet, mutation: Mutation
) -> tuple[Definition, bool]:
    """Keep the set as the next version, after every expression was checked against the columns of its dataset."""
    version = datasets.version(features.dataset)
    types = _types(datasets, version)
    Features(features, types)
    state = defined_state(version.dataset, types)
    return definitions.put(KIND, features.name, features.text, mutation, state=state, note=features.note)


def apply_features(
    datasets: DatasetStore,
    definitions: DefinitionStore,
    job: AppliedTo,
    mutation: Mutation,
    *,
    staging: Path,
    progress: Tell = None,
) -> MadePart:
    """A version with the set's features.

    With labels: each of their rows with the features of the latest row of the same key whose time is not after the
    label's (and not older than `max_age`), missing where there is none; of several at one instant the last. Rows
    without key or time match nothing. The order of the labels stays.
    """
    definition = definitions.get(KIND, job.use)
    features = bound(definition)
    origin = datasets.version(job.source or features.set.dataset)
    source = Source(datasets, origin, _wanted(features), fitted=f"feature set {definition.ref}")
    gone = list(source.schema.absent)
    if gone:
        raise Invalid(f"{origin.ref} has no {', '.join(gone)}, which feature set {definition.ref} reads.", "source")
    with own_folder(staging) as folder:
        if not job.labels:
            teller = Teller(progress, origin.rows)
            columns = {name: features.types[name] for name in _ids(features.set)} | features.made
            out = ParquetOut(folder / "features.parquet", pa.schema(list(columns.items())))
            rows = _written(out, source, teller, lambda each: each.with_(features.compute(each).columns))
            called, parent, inputs = job.name or f"{origin.dataset}-{definition.name}", origin, list[str]()
        else:
            labels = datasets.version(job.labels)
            known = Source(datasets, labels)
            joined = _AsOf(features, source, known.schema.types, job, labels.ref, Teller(progress, origin.rows))
            schema = pa.schema(list((known.schema.types | features.made).items()))
            out = ParquetOut(folder / "features.parquet", schema)
            rows = _written(out, known, Teller(progress, labels.rows), joined.onto)
            called, parent, inputs = job.name or f"{labels.dataset}-{definition.name}", labels, [origin.ref]
        version, created = datasets.add(
            called,
            out.path,
            digest=out.digest.hexdigest(),
            rows=rows,
            columns=_described(out, features.set, parent.columns),
            source=f"features {definition.ref} of {origin.ref}" + (f" as of {parent.ref}" if job.labels else ""),
            mutation=mutation,
            parent=parent.ref,
            inputs=inputs,
            made_by=definition.whole,
        )
    return MadePart(part="", version=version, created=created)


class _AsOf:
    """The feature rows in the order of key and time, and where in it a label falls."""

    def __init__(
        self,
        features: Features,
        source: Source,
        labels: Mapping[str, Any],
        job: AppliedTo,
        ref: str,
        teller: Teller,
    ) -> None:
        chosen = features.set
        if not chosen.time:
            raise Invalid(
                f"feature set {chosen.name} names no time, so that nothing can be joined as of then; add time = …",
                "time",
            )
        self._on = job.on or chosen.key
        self._at = job.at or chosen.time
        if len(self._on) != len(chosen.key):
            raise Invalid(f"on names {len(self._on)} columns, and the key of the set has {len(chosen.key)}.", "on")
        for mine, its in zip((*self._on, self._at), (*chosen.key, chosen.time), strict=True):
            if mine not in labels:
                raise Invalid(f"{mine!r} is not a column of {ref}{did_you_mean(mine, labels)}", "on")
            if labels[mine] != features.types[its]:
                raise Invalid(
                    f"{mine!r} of {ref} is {labels[mine]}, and {its!r} of {source.version.ref} is "
                    f"{features.types[its]}; cast one of them first.",
                    "on",
                )
        clash = [name for name in features.made if name in labels]
        if clash:
            raise Invalid(f"{ref} has a column {clash[0]!r} already, which is a feature too; drop it first.", "labels")
        kind = column_type(labels[self._at])
        if kind not in _TIMES:
            raise Invalid(f"{self._at!r} is {kind}; a time, a date or a whole number says when.", "at")
        self._oldest = None
        if job.max_age:
            ticks = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
            per = ticks[labels[self._at].unit] if kind is ColumnType.DATETIME else 1
            self._oldest = int(age_of(job.max_age, kind) * per)
        self._lay(features, source, teller)

    def _lay(self, features: Features, source: Source, teller: Teller) -> None:
        chosen = features.set
        keys, times, pieces, total = [], [], [], 0
        teller.begin("computing features")
        for rows in teller.counted(source.batches(set(source.schema.present))):
            there = _present([rows.columns[name] for name in (*chosen.key, chosen.time)])
            rows = rows.filter(there)
            keys.append(rows.batch(chosen.key))
            times.append(ordinals(rows.columns[chosen.time]))
            made = features.compute(rows).batch()
            pieces.append(made)
            total += made.nbytes + keys[-1].nbytes + 24 * rows.count
            if total > MOST_BYTES:
                raise Refused(
                    f"the features of {source.version.ref} take more than {size(MOST_BYTES)} in memory; "
                    "apply the set to a version with fewer rows, or make it of fewer features."
                )
        self._schema = pa.schema(list(features.made.items()))
        table = pa.Table.from_batches([batch for batch in pieces if batch.num_rows], self._schema)
        key = pa.Table.from_batches(keys, keys[0].schema if keys else pa.schema([])).combine_chunks()
        self._known = KeyIndex([_whole(column) for column in key.columns] if len(key) else [], len(key))
        when = np.concatenate(times) if times else np.zeros(0, np.int64)
        self._times = np.unique(when)
        places = self._place(self._known.codes, np.searchsorted(self._times, when, side="right"))
        order = np.argsort(places, kind="stable")
        self._places, self._when = places[order], when[order]
        self._table = table.combine_chunks().take(pa.array(order))

    def _place(self, codes: Any, ranks: Any) -> Any:
        """Key first, then time, in one whole number: both count what there is, so that it fits."""
        return codes.astype(np.int64) * (len(self._times) + 1) + ranks

    def onto(self, rows: Rows) -> Rows:
        times = ordinals(rows.columns[self._at])
        there = _present([rows.columns[name] for name in (*self._on, self._at)])
        if not len(self._places):
            return rows.with_({field.name: pa.nulls(rows.count, field.type) for field in self._schema})
        codes = self._known.find([rows.columns[name] for name in self._on], rows.count)
        there &= codes >= 0
        ranks = np.searchsorted(self._times, times, side="right")
        found = np.searchsorted(self._places, self._place(codes, ranks), side="right") - 1
        at = np.maximum(found, 0)
        there &= (found >= 0) & (self._places[at] // (len(self._times) + 1) == codes)
        if self._oldest is not None:
            there &= times - self._when[at] <= self._oldest
        made = self._table.take(pa.array(at, mask=~there))
        return rows.with_({name: _whole(made.column(name)) for name in self._schema.names})


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _present(arrays: list[Any]) -> Any:
    there = np.ones(len(arrays[0]), np.bool_)
    for array in arrays:
        there &= pc.is_valid(array).to_numpy(zero_copy_only=False)
    return there


def _written(out: ParquetOut, source: Source, teller: Teller, make: Callable[[Rows], Rows]) -> int:
    count = 0
    teller.begin("writing")
    try:
        for rows in teller.counted(source.batches(set(source.schema.present))):
            count += rows.count
            out.add(make(rows).batch(out.schema.names))
        out.finish()
    finally:
        out.abandon()
    return count


def _ids(features: FeatureSet) -> tuple[str, ...]:
    return (*features.key, *([features.time] if features.time else []))


def _wanted(features: Features) -> dict[str, Any]:
    names = dict.fromkeys((*_ids(features.set), *features.reads))
    return {name: features.types[name] for name in names}


def _types(datasets: DatasetStore, version: Any) -> dict[str, Any]:
    with stored_file(datasets, version) as file:
        return {field.name: field.type for field in file.schema_arrow}


def _described(out: ParquetOut, features: FeatureSet, before: tuple[Column, ...]) -> tuple[Column, ...]:
    known = {column.name: column for column in before}
    named = {feature.name: feature for feature in features.features}
    described = []
    for field in out.schema:
        feature, old = named.get(field.name), known.get(field.name)
        described.append(
            Column(
                name=field.name,
                type=column_type(field.type),
                nulls=out.nulls[field.name],
                unit=feature.unit if feature else (old.unit if old else ""),
                note=feature.note if feature else (old.note if old else ""),
            )
        )
    return tuple(described)

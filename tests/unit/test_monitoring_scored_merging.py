"""Files of scored rows become few, and late labels find in them what they found before: whoever dies at whichever
step."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from backends.contract import Backend
from backends.entities import Segment
from console.monitoring.counted.counts import unpack
from console.monitoring.counted.ranked import QUERY
from console.monitoring.create import create_monitor
from console.monitoring.feeds import scored, scored_merging
from console.monitoring.feeds.champion import load_champion
from console.monitoring.feeds.ingest import ingest_batch
from console.monitoring.feeds.scored import predictions_of, segment_path, targets_of, write_segment
from console.monitoring.feeds.scored_files import SEGMENTS, chunks_in, clear_replaced, scored_files
from console.monitoring.feeds.scored_merging import DAY_NS, EVERY, merge_if_many, merge_scored
from console.monitoring.folder import monitor_folder
from console.retention.monitors import Keep
from tests.monitored import WHO, deliveries, traffic

NOW_NS = 1_790_000_000 * 10**9


class DiedError(BaseException):
    """Nothing catches it, as nothing catches a SIGKILL."""


def digest(*of: object) -> str:
    return hashlib.sha256(repr(of).encode()).hexdigest()


def filled(folder: Path, chunks: int, seed: int, *, rows: int = 7, ids: int = 60, days: int = 2) -> None:
    """Chunks of two versions over some days, each with some ids that others have, too; two of them of one time."""
    rng = np.random.default_rng(seed)
    for number in range(chunks):
        path = segment_path(folder, digest(number, seed))
        members = pd.DataFrame({"segment:far": rng.random(rows) < 0.5, QUERY: [f"q{each % 3}" for each in range(rows)]})
        write_segment(
            path,
            pd.Series([f"id{each}" for each in rng.integers(0, ids, rows)]),
            rng.random(rows),
            np.where(rng.random(rows) < 0.4, rng.integers(0, 2, rows), np.nan),
            np.full(rows, number % 5),
            str(number % 3 // 2),
            at=np.arange(rows),
            members=members if number % 4 else members.drop(columns=QUERY),
        )
        at = NOW_NS - (chunks - max(number, 1)) * days * DAY_NS // chunks - seed
        os.utime(path, ns=(at, at))


def found(folder: Path, ids: list[str]) -> list[tuple[Any, ...]]:
    """Of each prediction that labels with these ids would reach: all that is kept of it, but of its query which rows
    it is ranked with."""
    rows = []
    for path, frame, positions in predictions_of(folder, pa.array(ids, type=pa.string())):
        for at in positions:
            row = frame.iloc[at]
            query = row.get(QUERY)
            mates = frame.index[frame[QUERY] == query] if isinstance(query, str) else []
            kept = (row["id"], row["score0"], row["start"], row["at"], row["version"], bool(row["segment:far"]))
            rows.append((*kept, str(row["target"]), tuple(sorted(frame["score0"][mates]))))
        assert path.parent == folder / SEGMENTS
    return sorted(rows)


def labels_of(folder: Path) -> dict[str, tuple[float, str]]:
    rows = targets_of(folder)
    return dict(zip(rows["id"], zip(rows["target"], rows["version"], strict=True), strict=True))


def asked(seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[f"id{each}" for each in rng.permutation(70)[:count]] for count in (1, 3, 20, 70)]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.monitoring.feeds.scored_merging.time.time_ns", lambda: NOW_NS)


@pytest.mark.parametrize("seed", range(5))
def test_labels_find_what_they_found_before_files_were_merged(frozen: None, tmp_path: Path, seed: int) -> None:
    filled(tmp_path, 50, seed)
    before = [found(tmp_path, ids) for ids in asked(seed)]
    given, chunks, files = labels_of(tmp_path), chunks_in(tmp_path), len(scored_files(tmp_path))
    assert len(before[-1]) > 40
    gone = merge_scored(tmp_path)
    assert len(scored_files(tmp_path)) == files - gone < files / 2
    assert [found(tmp_path, ids) for ids in asked(seed)] == before
    assert labels_of(tmp_path) == given
    assert chunks_in(tmp_path) == chunks
    filled(tmp_path, 20, seed + 100, days=1)  # and merged ones with others
    before = [found(tmp_path, ids) for ids in asked(seed)]
    assert merge_scored(tmp_path) > 0
    assert [found(tmp_path, ids) for ids in asked(seed)] == before
    assert len(chunks_in(tmp_path)) == 70


def test_whoever_dies_while_files_are_merged_loses_and_doubles_nothing(
    frozen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tmp_path / "made"
    filled(made, 40, 7)
    merge_scored(made)
    filled(made, 12, 8, days=1)
    ids = asked(7)[2]
    before, given, chunks = found(made, ids), labels_of(made), chunks_in(made)
    at, finished = 1, False
    while not finished:
        folder = tmp_path / str(at)
        shutil.copytree(made, folder)
        seen = 0

        def passing(inner: Any, at: int = at) -> Any:
            def moment(*args: Any, **options: Any) -> Any:
                nonlocal seen
                seen += 1
                if seen == at:
                    raise DiedError
                return inner(*args, **options)

            return moment

        with pytest.MonkeyPatch.context() as patched:
            for owner, name in ((Path, "unlink"), (Path, "replace"), (Path, "write_bytes"), (os, "utime")):
                patched.setattr(owner, name, passing(getattr(owner, name)))
            patched.setattr(scored_merging, "_to_disk", passing(scored_merging._to_disk))
            patched.setattr(pyarrow.parquet, "write_table", passing(pyarrow.parquet.write_table))
            try:
                merge_scored(folder)
                finished = True
            except DiedError:
                at += 1
        assert found(folder, ids) == before, f"moment {at}"
        assert labels_of(folder) == given, f"moment {at}"
        assert chunks_in(folder) == chunks, f"moment {at}"
        merge_scored(folder)
        assert found(folder, ids) == before, f"moment {at}"
        left = {path.name for path in (folder / SEGMENTS).iterdir() if not path.name.startswith(".")}
        live = {file.path.name for file in scored_files(folder)}
        assert {name for name in left if name.endswith(".parquet")} == live, f"moment {at}"
        assert {name for name in left if name.endswith(".json")} == {
            name.replace(".parquet", ".json") for name in live if name.startswith("merged-")
        }
    assert at > 30


def test_a_chunk_that_comes_again_under_a_replaced_name_is_read(frozen: None, tmp_path: Path) -> None:
    filled(tmp_path, 40, 3)
    merge_scored(tmp_path)
    again = segment_path(tmp_path, digest(5, 3))
    assert not again.exists()
    write_segment(again, pd.Series(["id1"]), np.array([0.125]), [1.0], [0], "0", at=[0])
    clear_replaced(tmp_path)
    assert again in [file.path for file in scored_files(tmp_path)]


def test_files_stay_few_however_many_chunks_come(tmp_path: Path) -> None:
    most = 0
    for number in range(500):
        path = segment_path(tmp_path, digest(number))
        ids = pd.Series([f"{number}-{each}" for each in range(3)])
        write_segment(path, ids, np.full(3, 0.5), np.full(3, np.nan), np.zeros(3), "1", at=np.zeros(3))
        merge_if_many(tmp_path, 1)
        most = max(most, len(scored_files(tmp_path)))
    assert most <= 2 * EVERY
    wanted = [f"{number}-{each}" for number in range(0, 500, 50) for each in range(3)]
    assert sum(len(at) for _, _, at in predictions_of(tmp_path, pa.array(wanted))) == 30
    assert len(chunks_in(tmp_path)) == 500


def test_whoever_reads_without_the_lock_finds_them_under_their_new_name(
    frozen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(tmp_path, 40, 4)
    wanted = labels_of(tmp_path)

    def overtaken(folder: Path) -> Any:
        listed = scored_files(folder)
        merge_scored(folder)
        return listed

    monkeypatch.setattr(scored, "scored_files", overtaken)
    with pytest.raises(FileNotFoundError):
        targets_of(tmp_path)
    monkeypatch.setattr(scored, "scored_files", scored_files)
    assert labels_of(tmp_path) == wanted


# ---------------------------------------------------------------- through the scorer


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    made = deliveries(tmp_path_factory.mktemp("workspace"))
    yield made
    made.close()


def watch(backend: Backend, name: str) -> Any:
    monitor = create_monitor(
        backend, name, "deliveries", mutation=WHO, time_column="at", label_column="late", id_column="id",
        group_column="carrier", segments=(Segment(name="far", where="distance > 300"),), protected=("carrier",),
    )  # fmt: skip
    return load_champion(backend, monitor)


def pieces(folder: Path) -> list[Path]:
    """Rows ten at a time, some ids twice, and labels that come between and behind them, some of them corrected."""
    rows = traffic(180, 5, day="2024-03-01").assign(id=[f"r{each % 165}" for each in range(180)])
    rng = np.random.default_rng(5)
    files = []
    for at in range(0, 180, 10):
        files.append((f"rows-{at:03d}", rows[at : at + 10].drop(columns="late")))
        if at % 40 == 30:
            given = rows[["id", "late"]].iloc[rng.integers(0, 180, 25)].drop_duplicates("id")
            given["late"] = np.where(rng.random(len(given)) < 0.3, "yes", given["late"])
            files.append((f"labels-{at:03d}", given))
    files.append(("labels-all", rows[["id", "late"]].drop_duplicates("id", keep="last")))
    for name, frame in files:
        frame.to_csv(folder / f"{name}.csv", index=False)
    return [folder / f"{name}.csv" for name, _ in files]


def labelled(files: list[Path]) -> int:
    """How many rows have a label in the end: of an id that came twice the newest gets what comes."""
    rows: list[tuple[str, bool]] = []
    waiting: set[str] = set()
    for frame in map(pd.read_csv, files):
        for one in frame["id"]:
            if "late" not in frame:
                rows.append((one, one in waiting))
                continue
            at = next((at for at in reversed(range(len(rows))) if rows[at][0] == one), None)
            if at is None:
                waiting.add(one)
            else:
                rows[at] = (one, True)
        waiting -= {one for one, _ in rows}
    return sum(told for _, told in rows)


def test_windows_are_as_if_nothing_was_merged(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = {}
    for name, every in (("apart", 10_000), ("merged", 4)):
        monkeypatch.setattr(scored_merging, "EVERY", every)
        monkeypatch.setattr(scored_merging, "FEWEST", 2)
        champion = watch(backend, name)
        for file in pieces(tmp_path):
            record = ingest_batch(backend, name, file, champion=champion)
            assert record.state in ("stored", "labels"), record.reason
        counts[name] = [
            (segment, window.start, window.rows, window.labelled, tuple(unpack(window.counts).cells),
             unpack(window.counts).groups, window.performance, window.lags)
            for segment in ("", "far")
            for window in backend.need("monitors").windows(name, segment=segment)
        ]  # fmt: skip
    apart, merged = (scored_files(monitor_folder(backend, name)) for name in ("apart", "merged"))
    assert (len(apart), any(file.is_merged for file in merged), len(merged) < 8) == (18, True, True)
    for one, other in zip(counts["apart"], counts["merged"], strict=True):
        assert one[:6] == other[:6]
        assert one[6].keys() == other[6].keys()
        assert "ndcg" in one[6]
        for key, estimate in one[6].items():
            assert estimate.value == pytest.approx(other[6][key].value), key
    whole = counts["merged"][0]
    assert (whole[2], whole[3]) == (180, labelled(pieces(tmp_path)))


def test_ids_of_chunks_in_a_merged_file_stay_known_and_a_pass_lets_it_go_whole(
    backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from console.monitoring.compaction.letting_go import LEDGER, _ids
    from console.monitoring.compaction.passing import carry_out

    monkeypatch.setattr(scored_merging, "EVERY", 4)
    monkeypatch.setattr(scored_merging, "FEWEST", 2)
    champion = watch(backend, "kept")
    for at in range(8):
        file = tmp_path / f"rows-{at}.csv"
        traffic(10, at, day="2024-03-01").assign(id=[f"{at}-{each}" for each in range(10)]).to_csv(file, index=False)
        ingest_batch(backend, "kept", file, champion=champion)
    store, folder = backend.need("monitors"), monitor_folder(backend, "kept")
    merge_scored(folder)
    digests = {each for each in store.batches("kept") if "@" not in each}
    (only,) = scored_files(folder)
    assert (only.is_merged, len(digests)) == (True, 8)
    (folder / LEDGER).write_text('{"2020-01-01": [' + ",".join(f'"{each}"' for each in digests) + "]}")
    (folder / "files.json").unlink()
    assert digests.isdisjoint(_ids(store, "kept", folder, DAY_NS // 10**6)[0])
    os.utime(only.path, (0, 0))
    keep = Keep(minutes=None, hours=None, days=None, scored=86_400_000, samples=None, ids=86_400_000)
    done = carry_out(backend, store.get("kept"), keep, WHO)
    assert done.gone.scored == 1
    assert list((folder / SEGMENTS).iterdir()) == []

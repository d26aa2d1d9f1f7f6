"""Which runs of a sidecar became versions, and so stay: through a new name, and no longer than the version is there."""

from __future__ import annotations

from pathlib import Path

from backends.remote.state import State


def test_a_run_is_known_as_the_version_that_it_became_for_as_long_as_that_is_there(tmp_path: Path) -> None:
    state = State(tmp_path / "oci.db")
    for run, version in (("a", "1"), ("b", "2"), ("c", "3")):
        state.became(run, "churn", version)
        state.became(run, "churn", version)  # a repeat is the same
    state.became("c", "fraud", "1")
    assert state.registered() == {"a": "churn@1", "b": "churn@2", "c": "fraud@1"}
    state.gone("churn", "2")
    state.renamed("churn", "leaving")
    assert state.registered() == {"a": "leaving@1", "c": "fraud@1"}
    state.forget("fraud")
    assert state.registered() == {"a": "leaving@1", "c": "leaving@3"}, "another version still stands on it"
    state.close()
    again = State(tmp_path / "oci.db")
    assert again.registered() == {"a": "leaving@1", "c": "leaving@3"}
    again.close()

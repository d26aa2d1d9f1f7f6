"""What Slurm's programs print, in the shapes of several versions."""

from __future__ import annotations

import msgspec
import pytest

from backends.contract import Invalid, Unreachable
from backends.entities import Needs, RunStatus
from backends.slurm.room import FIELDS, gpus, read_sinfo
from backends.slurm.rows import Jobs, read_sacct, read_squeue_json, read_squeue_text, tasks_in
from backends.slurm.words import how_ended, why_waiting


def _number(value: int | None) -> dict[str, object]:
    return {"set": value is not None, "infinite": False, "number": value or 0}


def _old(**given: object) -> dict[str, object]:
    """As 22.05 tells a job."""
    return {
        "job_id": 7, "array_job_id": 0, "array_task_id": None, "array_task_string": "", "job_state": "RUNNING",
        "state_reason": "None", "state_description": "", "comment": "", "nodes": "n1", "start_time": 1_700_000_000,
        "end_time": 1_700_000_060, "exit_code": 0, "standard_output": "/o.%j", **given,
    }  # fmt: skip


def _new(**given: object) -> dict[str, object]:
    """As 23.11 tells a job."""
    code = {"status": ["SUCCESS"], "return_code": _number(0), "signal": {"id": _number(None), "name": ""}}
    return {
        "job_id": 7, "array_job_id": _number(0), "array_task_id": _number(None), "array_task_string": "",
        "job_state": ["RUNNING"], "state_reason": "None", "comment": "", "nodes": "n1",
        "start_time": _number(1_700_000_000), "end_time": _number(1_700_000_060), "exit_code": code, **given,
    }  # fmt: skip


def _read(*jobs: dict[str, object]) -> Jobs:
    return Jobs(read_squeue_json(msgspec.json.encode({"meta": {}, "errors": [], "jobs": jobs})))


@pytest.mark.parametrize("job", [_old(), _new()], ids=["22.05", "23.11"])
def test_a_running_job_reads_alike_in_both_shapes(job: dict[str, object]) -> None:
    row = _read(job).get("7")
    assert row is not None
    assert (row.state, row.where, row.began_at, row.ended_at) == ("RUNNING", "n1", 1_700_000_000_000, None)
    assert row.exit_code is None, "of what runs there is none"


@pytest.mark.parametrize(
    ("job", "code"),
    [
        (_old(job_state="FAILED", exit_code=3 << 8), 3),
        (_old(job_state="CANCELLED", exit_code=15), 143),
        (_new(job_state=["FAILED"], exit_code=_number(3 << 8)), 3),  # 23.02
        (
            _new(
                job_state=["FAILED"],
                exit_code={"status": ["ERROR"], "return_code": _number(3), "signal": {"id": _number(None)}},
            ),
            3,
        ),
        (
            _new(
                job_state=["CANCELLED"],
                exit_code={"status": ["SIGNALED"], "return_code": _number(0), "signal": {"id": _number(9)}},
            ),
            137,
        ),
        (_new(job_state=["FAILED"], exit_code={"return_code": 4, "status": "ERROR"}), 4),
    ],
)
def test_exit_codes_read_alike_in_all_shapes(job: dict[str, object], code: int) -> None:
    row = _read(job).get("7")
    assert row is not None
    assert (row.exit_code, row.ended_at) == (code, 1_700_000_060_000)


def test_a_job_that_is_being_cleaned_up_has_not_ended() -> None:
    row = _read(_new(job_state=["CANCELLED", "COMPLETING"])).get("7")
    assert row is not None
    assert how_ended(row.state) is None


@pytest.mark.parametrize("make", [_old, _new], ids=["22.05", "23.11"])
def test_a_waiting_task_is_found_in_its_arrays_line(make: object) -> None:
    number = _number if make is _new else lambda value: value
    jobs = _read(
        make(job_id=10, array_job_id=number(10), array_task_string="2-4,7%2", job_state="PENDING",  # type: ignore[operator]
             state_reason="Resources", comment="mlops-console:b"),
        make(job_id=11, array_job_id=number(10), array_task_id=number(0), job_state="RUNNING"),  # type: ignore[operator]
    )  # fmt: skip
    states = {task: row.state if (row := jobs.get(f"10_{task}")) else None for task in (0, 1, 2, 7)}
    assert states == {0: "RUNNING", 1: None, 2: "PENDING", 7: "PENDING"}
    assert jobs.commented("mlops-console:b") == "10"


def test_text_reads_as_json_does() -> None:
    rows = read_squeue_text(
        "3|1|1|CANCELLED|None|vm|mlops-console:b\n"
        "1|1|4-5,9|PENDING|Resources||mlops-console:b\n"
        "20|20|3|PENDING|Priority||(null)\n"
        "8|8|N/A|RUNNING|None|vm|one | with bars\n"
        "squeue: something else\n"
    )
    jobs = Jobs(rows)
    found = {name: row.state if (row := jobs.get(name)) else None for name in ("1_1", "1_5", "1_6", "20_3", "8")}
    assert found == {"1_1": "CANCELLED", "1_5": "PENDING", "1_6": None, "20_3": "PENDING", "8": "RUNNING"}
    assert jobs.commented("one | with bars") == "8"


def test_a_list_of_tasks_that_was_cut_short_means_any() -> None:
    assert tasks_in("0-2,7%4") == {0, 1, 2, 7}
    assert tasks_in("0-15:5") == {0, 5, 10, 15}
    assert tasks_in("0-10,12,14...") is None
    jobs = Jobs(read_squeue_text("1|1|0-10,12,14...|PENDING|Priority||x"))
    assert jobs.get("1_900") is not None


def test_what_is_no_json_is_said() -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        read_squeue_json(b"squeue: error: no")


def test_no_jobs_and_an_error_is_a_controller_that_is_away() -> None:
    answer = {"errors": [{"description": "Failed while looking for jobs", "error_number": -1}], "jobs": []}
    with pytest.raises(Unreachable, match="Failed while looking for jobs"):
        read_squeue_json(msgspec.json.encode(answer))


def test_sacct_tells_states_codes_and_times() -> None:
    told = read_sacct(
        "12|CANCELLED by 1000|0:15|1700000000|1700000060|n1\n"
        "12.batch|CANCELLED|0:15|1700000000|1700000060|n1\n"
        "13_4|FAILED|3:0|1700000000|Unknown|n2\n"
    )
    assert set(told) == {"12", "13_4"}
    assert (told["12"].state, told["12"].exit_code, told["12"].ended_at) == ("CANCELLED", 143, 1_700_000_060_000)
    assert (told["13_4"].exit_code, told["13_4"].ended_at) == (3, None)


def test_sacct_tells_of_tasks_that_never_began_in_one_line() -> None:
    told = read_sacct(
        "17_0|RUNNING|0:0|1700000000|Unknown|n1\n17_[2,5-7]|CANCELLED by 0|0:0|None|1700000060|None assigned\n"
    )
    assert list(told) == ["17_0", "17_2", "17_5", "17_6", "17_7"]
    assert (told["17_6"].state, told["17_6"].where, told["17_6"].began_at) == ("CANCELLED", "", None)


def test_states_and_reasons_come_in_words_with_slurms_own_word() -> None:
    assert how_ended("TIMEOUT") is not None
    status, why = how_ended("OUT_OF_MEMORY") or (None, "")
    assert (status, "memory" in why, "(OUT_OF_MEMORY)" in why) == (RunStatus.FAILED, True, True)
    assert how_ended("CANCELLED by 0") == (RunStatus.STOPPED, "cancelled at Slurm, by scancel (CANCELLED)")
    assert how_ended("PENDING") is None
    assert how_ended("SOMETHING_NEW") == (RunStatus.FAILED, "it ended (SOMETHING_NEW)")
    assert why_waiting("Priority") == "jobs of higher priority go before it (Priority)"
    assert why_waiting("ReqNodeNotAvail, UnavailableNodes:n[1-4]") == (
        "machines that it needs are down, drained or reserved: UnavailableNodes:n[1-4] (ReqNodeNotAvail)"
    )
    assert why_waiting("BrandNewReason") == "it waits (BrandNewReason)"
    assert why_waiting("None") == "Slurm has not looked at it yet"


def _line(*columns: str) -> str:
    widths = [int(each.partition(":")[2]) for each in FIELDS.split(",")]
    return "".join(column.ljust(width) for column, width in zip(columns, widths, strict=True))


def test_room_counts_a_node_once_and_leaves_out_those_that_are_down() -> None:
    room = read_sinfo(
        "\n".join(
            [
                _line(
                    "n1", "work", "mixed", "3/5/0/8", "16000", "4000", "gpu:a100:4(S:0-1),shard:8", "gpu:a100:1(IDX:0)"
                ),
                _line("n1", "long", "mixed", "3/5/0/8", "16000", "4000", "gpu:a100:4(S:0-1)", "gpu:a100:1(IDX:0)"),
                _line("n2", "work", "idle", "0/8/0/8", "16000", "0", "(null)", "gpu:0"),
                _line("n3", "work", "down*", "0/0/8/8", "16000", "0", "(null)", "gpu:0"),
                _line("n4", "work", "drained", "0/0/8/8", "16000", "0", "(null)", "gpu:0"),
            ]
        )
    )
    assert room.nodes == 4
    assert room.total == Needs(cpu=16, memory=32_000 * 2**20, gpu=4)
    assert room.taken == Needs(cpu=3, memory=4_000 * 2**20, gpu=1)
    assert room.others == {"work": "3 of 16 cpu", "long": "3 of 8 cpu"}
    assert room.note == "1 machine is not responding, 1 machine is drained"
    assert (gpus("gpu:2"), gpus("gpu:a100:2,gpu:h100:4"), gpus("(null)")) == (2, 6, 0)

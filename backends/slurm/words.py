"""Slurm's states and reasons, in words for people. Slurm's own word stays in them, for who looks it up."""

from __future__ import annotations

from typing import Final

from backends.entities import RunStatus

WAITS: Final = frozenset({"PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
RUNS: Final = frozenset({"RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "STAGE_OUT", "SIGNALING",
                         "RESIZING"})  # fmt: skip

ENDS: Final[dict[str, tuple[RunStatus, str]]] = {
    "COMPLETED": (RunStatus.FINISHED, ""),
    "FAILED": (RunStatus.FAILED, "it failed"),
    "CANCELLED": (RunStatus.STOPPED, "cancelled at Slurm, by scancel"),
    "TIMEOUT": (RunStatus.FAILED, "its time limit was over, and Slurm ended it; give it more by [limits] minutes"),
    "DEADLINE": (RunStatus.FAILED, "its deadline passed, and Slurm ended it"),
    "OUT_OF_MEMORY": (
        RunStatus.FAILED, "it took more memory than it had asked for, and Slurm ended it; ask for more under [needs]",
    ),
    "PREEMPTED": (RunStatus.FAILED, "a job of higher priority took its place"),
    "NODE_FAIL": (RunStatus.LOST, "its machine failed"),
    "BOOT_FAIL": (RunStatus.LOST, "its machine did not come up"),
    "LAUNCH_FAILED": (RunStatus.FAILED, "Slurm could not start it on the machine"),
    "RECONFIG_FAIL": (RunStatus.FAILED, "the machine could not be made ready for it"),
    "REVOKED": (RunStatus.LOST, "another cluster has it"),
}  # fmt: skip
"""How a job ended: the run's status, and why."""

REASONS: Final = {
    "None": "Slurm has not looked at it yet",
    "Priority": "jobs of higher priority go before it",
    "Resources": "it is next, and waits for machines to become free",
    "Dependency": "it waits for another job",
    "DependencyNeverSatisfied": "it waits for a job that failed: it can never begin; stop it",
    "BeginTime": "it may not begin before its time; after a requeue that is a minute or two",
    "JobHeldUser": "it is held; let it go with: scontrol release",
    "JobHeldAdmin": "an administrator holds it",
    "PartitionDown": "its partition is down",
    "PartitionInactive": "its partition takes no jobs at present",
    "PartitionNodeLimit": "it asks for more machines than the partition allows: it can never begin; ask for less",
    "PartitionTimeLimit": "it asks for more time than the partition allows: it can never begin; ask for less",
    "PartitionConfig": "what it asks for does not fit the partition: it can never begin; ask for less",
    "ReqNodeNotAvail": "machines that it needs are down, drained or reserved",
    "NodeDown": "a machine that it needs is down",
    "BadConstraints": "no machine is as it asks for: it can never begin; change [needs] or [launch]",
    "Licenses": "it waits for a license",
    "Reservation": "it waits for its reservation",
    "ReservationDeleted": "its reservation is gone; stop it",
    "InvalidAccount": "its account is not known; change `account`",
    "InvalidQOS": "its qos is not known; change `qos`",
    "AssociationJobLimit": "your account has as many jobs as it may",
    "AssociationResourceLimit": "your account has as much as it may",
    "AssociationTimeLimit": "your account's time is used up",
    "AssocGrpCpuLimit": "your account's share of cores is taken",
    "AssocGrpCPUMinutesLimit": "your account's hours of cores are used up",
    "AssocGrpGRES": "your account's share of cards is taken",
    "AssocGrpMemLimit": "your account's share of memory is taken",
    "AssocMaxJobsLimit": "your account has as many jobs as it may",
    "QOSJobLimit": "its qos has as many jobs as it may",
    "QOSResourceLimit": "its qos has as much as it may",
    "QOSTimeLimit": "it asks for more time than its qos allows",
    "QOSMaxJobsPerUserLimit": "you have as many jobs as the qos allows",
    "QOSMaxCpuPerUserLimit": "you have as many cores as the qos allows",
    "QOSMaxGRESPerUser": "you have as many cards as the qos allows",
    "QOSGrpCpuLimit": "the qos' cores are taken",
    "QOSMinGRES": "the qos wants it to ask for more cards",
    "JobArrayTaskLimit": "as many tasks of its array run as may at once",
    "Prolog": "the machine is being made ready for it",
    "Cleaning": "it is put back into the queue, and what it left is cleaned up",
    "JobLaunchFailure": "Slurm could not start it on the machine",
    "launch failed requeued held": "Slurm could not start it, and holds it; let it go with: scontrol release",
    "SystemFailure": "Slurm itself failed",
    "FrontEndDown": "no front end machine is up",
    "InactiveLimit": "it was idle for too long",
    "NonZeroExitCode": "its command failed",
    "RaisedSignal": "a signal ended it",
    "TimeLimit": "its time limit was over",
}
"""Why a job waits; some of them say why it ended."""


def why_waiting(reason: str, description: str = "") -> str:
    """A sentence, with Slurm's word: `it is next, and waits for machines to become free (Resources)`."""
    known = REASONS.get(reason)
    if known is None:
        # "ReqNodeNotAvail, UnavailableNodes:n[1-4]"
        word, _, rest = reason.partition(",")
        known = REASONS.get(word)
        if known is not None and rest.strip():
            known = f"{known}: {rest.strip()}"
            reason = word
    sentence = known or "it waits"
    said = f"; {description}" if description and description not in (reason, "None") else ""
    return f"{sentence}{said} ({reason})" if reason and reason != "None" else f"{sentence}{said}"


def base_state(state: str) -> str:
    """`CANCELLED by 1000`, `CANCELLED+` → `CANCELLED`."""
    return state.split(" ")[0].rstrip("+")


def how_ended(state: str) -> tuple[RunStatus, str] | None:
    """(status of the run, why) of a job in this state; None while it has not ended."""
    state = base_state(state)
    if state in WAITS or state in RUNS:
        return None
    status, why = ENDS.get(state, (RunStatus.FAILED, "it ended"))
    return status, f"{why} ({state})" if why else ""

"""The script that Slurm begins, and what sbatch is told of it.

The script is the same for every job. It looks up which run it is for, makes sure that no other job has that run, runs
it, and leaves on the shared file system how it ended. Neither it nor sbatch's arguments hold anything of the run but
its id and name: what is secret comes to the command by other ways.
"""

from __future__ import annotations

import difflib
import math
import re
import shlex
from collections.abc import Mapping
from typing import Final

from backends.contract import BackendError, Invalid
from backends.entities import Job

COMMENT: Final = "mlops-console:"
"""Before the batch's id, in the comment of its job: by it a job is known again."""

SCRIPT: Final = """\
#!/bin/sh
# A run of mlops-console: begun by Slurm, at most once. $1 is the shared directory, $2 the batch.
umask 077
base=$1
index=${SLURM_ARRAY_TASK_ID:-0}
job=$SLURM_JOB_ID
[ -z "$SLURM_ARRAY_JOB_ID" ] || job=${SLURM_ARRAY_JOB_ID}_$index
run= at=0
while read -r each; do
  [ "$at" -ne "$index" ] || run=$each
  at=$((at + 1))
done <"$base/batches/$2/runs"
[ -n "$run" ] || { echo "task $index has no run in batch $2"; exit 1; }
here=$base/runs/$run
cd "$here" || exit 1
# The first job to come has the run: one that was submitted twice is carried out once.
( set -C; echo "$job" >claim ) 2>/dev/null
read -r first <claim
if [ "$first" != "$job" ] || [ -e exit ]; then
  echo "run $run was begun by job $first already: nothing to do"
  exit 0
fi
trap : TERM INT
echo "$(date +%s) $(uname -n)" >begun.new && mv begun.new begun
(
  trap - TERM INT
  read -r folder <folder
  cd "$folder" || exit 1
  while read -r sum kind name; do
    case $name in */*) mkdir -p "${name%/*}" ;; esac
    if [ "$kind" = file ]; then ln -sf "$base/parts/$sum" "$name"
    else mkdir -p "$name" && cp -R "$base/parts/$sum/." "$name"; fi || exit 1
  done <"$here/parts"
  . "$here/command"
) </dev/null >>out.log 2>&1 &
child=$!
while :; do
  wait "$child"
  code=$?
  kill -0 "$child" 2>/dev/null || break
done
echo "$code $(date +%s)" >exit.new && mv exit.new exit
exit "$code"
"""

SITE: Final = (
    "partition",
    "account",
    "qos",
    "constraint",
    "reservation",
    "licenses",
    "exclude",
    "gres",
    "time",
    "nice",
)
"""What a recipe's `[launch]` and a launcher's options may say; each as sbatch takes it."""
_TIME: Final = re.compile(r"\d+|\d+:\d\d(:\d\d)?|\d+-\d\d?(:\d\d){0,2}|UNLIMITED")
_VALUE: Final = re.compile(r"[^\x00-\x1f\x7f]{1,300}")
_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
MARGIN_MINUTES: Final = 2
"""Behind the run's own limit, which ends it with a reason that people know."""


def site_options(given: Mapping[str, str], source: str) -> dict[str, str]:
    """Checked; Invalid names the key. `source` says whose they are: `[launch]`, or the launcher's options.

    `resource.NAME` is said to other engines, and passed over; so is what is empty.
    """
    found = {}
    for key, value in given.items():
        if key.startswith("resource.") or not str(value).strip():
            continue
        if key not in SITE:
            near = difflib.get_close_matches(key, SITE, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise Invalid(f"{source}: unknown key {key}{hint}; valid are {', '.join(SITE)}", key)
        text = str(value).strip()
        if not _VALUE.fullmatch(text):
            raise Invalid(f"{source}: {key} = {value!r}: a text as sbatch --{key} takes it is wanted", key)
        if key == "time" and not _TIME.fullmatch(text):
            raise Invalid(f"{source}: time = {text!r}: wanted minutes, hours:minutes:seconds or days-hours", key)
        found[key] = text
    return found


def resources(job: Job, site: Mapping[str, str]) -> tuple[str, ...]:
    """What sbatch is told that this job needs; jobs alike in it can be one array."""
    options = dict(site) | site_options(job.options, "[launch]")
    words = ["--ntasks=1", "--nodes=1"]
    if job.needs.cpu:
        words.append(f"--cpus-per-task={max(1, math.ceil(job.needs.cpu))}")
    if job.needs.memory:
        words.append(f"--mem={max(1, math.ceil(job.needs.memory / 2**20))}M")
    if job.needs.gpu and "gres" not in options:
        words.append(f"--gres=gpu:{job.needs.gpu}")
    if job.max_seconds and "time" not in options:
        words.append(f"--time={math.ceil(job.max_seconds / 60) + MARGIN_MINUTES}")
    return (*words, *(f"--{key}={value}" for key, value in sorted(options.items())))


def wrong(job: Job, site: Mapping[str, str]) -> BackendError | None:
    """Why the job cannot be asked for, or None."""
    try:
        resources(job, site)
    except BackendError as error:
        return error
    return None


def job_name(job: Job) -> str:
    """For people who look at squeue: the run's name and the beginning of its id."""
    return f"{_NAME.sub('-', job.name)[:40].strip('-') or 'run'}-{job.run[:8]}"


def sbatch(batch: str, name: str, count: int, needs: tuple[str, ...]) -> str:
    """The shell line that submits a batch, in our directory; it prints the job's number."""
    words = [
        "sbatch", "--parsable", "--no-requeue", "--open-mode=append", f"--job-name={name}",
        f"--comment={COMMENT}{batch}", *needs, *([f"--array=0-{count - 1}"] if count > 1 else []),
    ]  # fmt: skip
    place = f"batches/{batch}"
    return (
        f'{shlex.join(words)} --chdir="$PWD" --output="$PWD/{place}/slurm.%a" '
        f'"$PWD/{place}/job.sh" "$PWD" {batch} </dev/null'
    )


def command_line(entry: tuple[str, ...], python: str) -> str:
    """The command as a line of sh; its first word is the interpreter over there."""
    return f"exec {shlex.join((python, *entry[1:]))}\n"

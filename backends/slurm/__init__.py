"""Runs as Slurm jobs: `slurm:` on a login node, `slurm+ssh://user@login` from elsewhere.

Slurm's own programs are called (`sbatch`, `squeue`, `scancel`, `sacct`, `sinfo`), here or over the system's ssh by the
same shell lines. What has to be known of a run stands in its folder on the shared file system, so that Slurm may forget
it: which job has begun it, what it printed, how it ended.
"""

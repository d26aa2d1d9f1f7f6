"""What sbatch is told, and how addresses and shell words are made. Nothing of a run's can leave its quotes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from backends.contract import BackendError, Invalid
from backends.entities import Job, LauncherRef, Needs
from backends.slurm.address import SlurmAddress, read_address
from backends.slurm.engine import open_slurm
from backends.slurm.login_node import LoginNode
from backends.slurm.parcels import Packer
from backends.slurm.script import MARGIN_MINUTES, command_line, job_name, resources, sbatch, site_options

RUN = "0123456789abcdef0123456789abcdef"


def _job(**given: object) -> Job:
    return Job(**{"run": RUN, "name": "fit", "folder": "/w", "entry": ("python", "x.py"), **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("slurm:", SlurmAddress()),
        ("slurm:/scratch/me", SlurmAddress(directory="/scratch/me")),
        ("slurm:~/jobs", SlurmAddress(directory="~/jobs")),
        ("slurm+ssh://login", SlurmAddress(host="login")),
        ("slurm+ssh://me@login.hpc.example.org:2222/scratch/a%20b/",
         SlurmAddress(host="login.hpc.example.org", user="me", port=2222, directory="/scratch/a b")),
        ("slurm+ssh://me@login/~/jobs", SlurmAddress(host="login", user="me", directory="~/jobs")),
    ],
)  # fmt: skip
def test_addresses(url: str, address: SlurmAddress) -> None:
    assert read_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "slurm://login", "slurm:relative", "slurm+http://login", "slurm+ssh://", "slurm+ssh://-oProxyCommand=x@h",
        "slurm+ssh://me@-oProxyCommand=x", "slurm+ssh://me:secret@login", "slurm+ssh://h/a%25j", "slurm:/a\nb",
        "slurm+ssh://h:99999999",
    ],
)  # fmt: skip
def test_wrong_addresses_are_told_and_no_secret_is_repeated(url: str) -> None:
    with pytest.raises(Invalid) as told:
        read_address(url)
    assert "secret" not in str(told.value)


def test_needs_become_what_sbatch_takes() -> None:
    job = _job(needs=Needs(cpu=2.5, memory=1_500_000_000, gpu=2), max_seconds=3_600)
    words = resources(job, {"partition": "work"})
    assert "--cpus-per-task=3" in words
    assert "--mem=1431M" in words
    assert "--gres=gpu:2" in words
    assert f"--time={60 + MARGIN_MINUTES}" in words
    assert "--partition=work" in words


def test_a_recipe_says_more_than_the_launcher_and_only_what_is_known() -> None:
    words = resources(_job(options={"partition": "gpu", "time": "1-12"}, max_seconds=60), {"partition": "work"})
    assert "--partition=gpu" in words
    assert "--time=1-12" in words
    assert not any(word.startswith("--partition=work") for word in words)
    with pytest.raises(Invalid, match="did you mean partition"):
        site_options({"partitoin": "x"}, "[launch]")
    assert site_options({"resource.tpu": "1", "qos": "long", "account": ""}, "[launch]") == {"qos": "long"}
    with pytest.raises(Invalid, match="time"):
        site_options({"time": "soon"}, "[launch]")
    with pytest.raises(Invalid):
        site_options({"account": "a\nb"}, "[launch]")
    with pytest.raises(Invalid, match="yes or no"):
        open_slurm(LauncherRef(url="slurm:", options={"shared": "perhaps"}))
    with pytest.raises(Invalid, match="did you mean partition"):
        open_slurm(LauncherRef(url="slurm:", options={"partitions": "work"}))


def test_no_word_leaves_its_quotes() -> None:
    nasty = 'a\'; touch /tmp/x; echo $(id) "`id`" \\'
    line = sbatch(RUN, job_name(_job(name=nasty)), 3, ("--account=" + nasty,))
    words = shlex.split(line.replace('"$PWD', '"'))
    assert words[0] == "sbatch"
    assert f"--account={nasty}" in words
    assert "--array=0-2" in words
    assert job_name(_job(name=nasty)).endswith(RUN[:8])
    assert not set(job_name(_job(name=nasty))) & set("'\";$`\\ ")
    said = subprocess.run(
        ["/bin/sh", "-c", command_line(("python", nasty, "ü\n2"), "/bin/echo")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == f"{nasty} ü\n2\n"


def test_a_script_reaches_the_login_node_whole_whatever_shell_there_is(tmp_path: Path) -> None:
    """`ssh` is a program that runs what it is told by its login shell; here it is one that does just that."""
    for shell in ("sh", "bash"):
        fake = tmp_path / f"ssh-{shell}"
        fake.write_text(f'#!/bin/sh\nfor last; do :; done\nexec {shell} -c "$last"\n')
        fake.chmod(0o700)
        address = SlurmAddress(host="login", directory=f"{tmp_path}/it's $HOME")
        node = LoginNode(address, {"ssh": str(fake)})
        answer = node.run('printf "%s|" "$B" \'a"b\' "!"\ncat', b"fed\x00\xff")
        assert answer.out == f"{tmp_path}/it's $HOME|a\"b|!|".encode() + b"fed\x00\xff"
        node.close()


def test_of_our_variables_none_reaches_slurm_that_may_hold_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "hush")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm/other.conf")
    said = LoginNode(SlurmAddress(), {}).run("env").out.decode()
    assert "hush" not in said
    assert "SLURM_CONF=/etc/slurm/other.conf" in said


def test_a_folder_has_one_digest_for_one_content(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a.py").write_text("print(1)")
        (folder / ".git").mkdir()
    (two / ".git" / "HEAD").write_text("x")
    packer = Packer()

    def digest(path: Path) -> str:
        return packer.pack({"work": str(path)}, {})[0].digest

    before = digest(one)
    assert before == digest(two), "what is skipped does not count"
    (two / "sub" / "a.py").write_text("print(2)")
    assert digest(two) != before
    (two / "sub" / "a.py").write_text("print(1)")
    (two / "sub" / "a.py").chmod(0o755)
    assert digest(two) != before
    with pytest.raises(BackendError, match="cannot be sent along"):
        packer.pack({"work": str(tmp_path / "none")}, {})
    with pytest.raises(Invalid):
        packer.pack({"../up": str(one)}, {})

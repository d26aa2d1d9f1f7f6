"""The program that runs a job's command on the cluster's machine: `python jobside.py manifest.json`.

It stands alone: Python 3.8 and its standard library are all it may count on, none of this package is there. What the
command prints goes to stdout, and so does what it says on its progress descriptor, as lines that begin with MARK: the
agent reads them out of the log, so that metrics need no way back of their own. The last such line says how it ended.
"""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from typing import Any, Dict, List, Optional

MARK = b"\x1emlops "
HERE = "@mlops-job@"
PYTHON = "@mlops-python@"
LINGER_S = 2.0
STRAGGLES_S = 0.2
"""How long after the command's own a signal to all of a job may reach us: Slurm kills one process after the other."""
TRIES = 6


def out(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]


def say(**line: Any) -> None:
    out(MARK + json.dumps(line).encode() + b"\n")


def note(text: str) -> None:
    out(("[mlops-console: %s]\n" % text).encode("utf-8", "replace"))


class Side:
    """One run of the command."""

    def __init__(self, manifest: Dict[str, Any], folder: str) -> None:
        self.manifest = manifest
        self.folder = folder
        self.stopping = 0.0
        self.why = ""
        self.killed = False
        self.child: Optional[subprocess.Popen[bytes]] = None
        self.line_open = False
        self.partial = b""
        self.text = codecs.getincrementaldecoder("utf-8")("replace")
        """Some engines read logs as UTF-8, and give up where one is not."""
        self.address: Dict[str, str] = {}

    # ------------------------------------------------------------ what it needs

    def lay(self) -> None:
        """Bring what was uploaded apart to where the command expects it."""
        bundles = os.path.join(self.folder, "bundles.json")
        if not os.path.exists(bundles):
            return
        with open(bundles) as file:
            parts = json.load(file)
        places: List[str] = [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
        for names in parts.values():
            for name in names:
                found = [os.path.join(each, name) for each in places if os.path.isdir(os.path.join(each, name))]
                if not found:
                    raise RuntimeError("the uploaded files %s are not on this machine" % name)
                lay_bundle(found[0], self.folder)

    def filled(self, text: str) -> str:
        return text.replace(HERE, self.folder).replace(PYTHON, sys.executable)

    def environment(self) -> Dict[str, str]:
        given = self.manifest["env"]
        dropped = set(self.manifest["withheld"])
        env = {key: value for key, value in os.environ.items() if key not in dropped}
        if not self.manifest["shared"]:
            env.pop("PYTHONPATH", None)  # it leads to the uploads
        env["PYTHONUNBUFFERED"] = "1"
        env.update({key: self.filled(value) for key, value in given.items()})
        env.update(self.tracking())
        env["MLOPS_CONSOLE_RUN"] = self.manifest["run"]
        return env

    def tracking(self) -> Dict[str, str]:
        """Where it logs to. What is secret in it is fetched once, for a ticket that is no good a second time."""
        found: Dict[str, str] = dict(self.manifest["tracking"])
        ticket = self.manifest.get("ticket", "")
        if ticket:
            data = json.dumps({"run": self.manifest["run"], "ticket": ticket}).encode()
            answer = ask(self.manifest["agent"] + "/jobs/ticket", "POST", data, {"Content-Type": "application/json"})
            found.update(json.loads(answer))
        self.address = found
        return found if self.manifest["logs"] else {}

    # ------------------------------------------------------------ its course

    def run(self) -> int:
        os.makedirs(os.path.join(self.folder, "artifacts"), exist_ok=True)
        self.lay()
        env = self.environment()
        said_reader, said_writer = os.pipe()
        env["MLOPS_PROGRESS_FD"] = str(said_writer)
        argv = [self.filled(word) for word in self.manifest["argv"]]
        cwd = self.filled(self.manifest["cwd"]) if self.manifest["cwd"] else self.folder
        os.makedirs(cwd, exist_ok=True)
        nice = int(self.manifest["nice"])
        try:
            child = self.child = subprocess.Popen(
                argv, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                pass_fds=(said_writer,), start_new_session=True,
                preexec_fn=(lambda: os.nice(nice)) if nice else None,
            )  # fmt: skip
        except OSError as wrong:
            raise RuntimeError("there is no program %s on this machine: %s" % (argv[0], wrong.strerror))
        os.close(said_writer)
        self.serve(child, said_reader)
        code = child.returncode
        return 128 - code if code < 0 else code

    def serve(self, child: subprocess.Popen[bytes], said: int) -> None:
        pipes = selectors.DefaultSelector()
        assert child.stdout is not None
        printed = child.stdout.fileno()
        pipes.register(printed, selectors.EVENT_READ, self.on_output)
        pipes.register(said, selectors.EVENT_READ, self.on_said)
        began = time.monotonic()
        ended = 0.0
        while pipes.get_map():
            for key, _ in pipes.select(0.2):
                data = os.read(key.fd, 65536)
                if data:
                    key.data(data)
                else:
                    pipes.unregister(key.fd)
            if child.poll() is not None:
                ended = ended or time.monotonic()
                if time.monotonic() - ended > LINGER_S:
                    break  # what it left running holds the pipes
            else:
                self.limit(child, time.monotonic() - began)
        child.wait()
        with contextlib.suppress(OSError):
            os.killpg(child.pid, signal.SIGKILL)
        if not self.stopping:
            time.sleep(STRAGGLES_S)
        if self.line_open:
            out(b"\n")

    def on_output(self, data: bytes) -> None:
        data = self.text.decode(data).encode("utf-8").replace(b"\x1e", b"?")  # that one is ours alone
        if data:
            self.line_open = not data.endswith(b"\n")
            out(data)

    def on_said(self, data: bytes) -> None:
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            if line.strip():
                out(b"\n" * self.line_open + MARK + line.strip() + b"\n")
                self.line_open = False

    def limit(self, child: subprocess.Popen[bytes], passed: float) -> None:
        if not self.stopping:
            seconds, memory = self.manifest["max_seconds"], self.manifest["max_memory"]
            if seconds and passed > seconds:
                self.why = "it took longer than its limit of %g s" % seconds
            elif memory and resident(child.pid) > memory:
                self.why = "it took more than its limit of %.3g GB of memory" % (memory / 1e9)
            if self.why:
                note(self.why)
                self.stop()
        elif not self.killed and time.monotonic() - self.stopping > self.manifest["grace_s"]:
            self.killed = True
            with contextlib.suppress(OSError):
                os.killpg(child.pid, signal.SIGKILL)

    def stop(self, *_: Any) -> None:
        if not self.stopping:
            self.stopping = time.monotonic()
        if self.child is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.child.pid, signal.SIGTERM)

    # ------------------------------------------------------------ what it leaves

    def bring_back(self) -> None:
        """The files of artifacts/, over the tracking protocol."""
        root = os.path.join(self.folder, "artifacts")
        found = [os.path.join(place, name) for place, _, names in os.walk(root) for name in sorted(names)]
        if not found:
            return
        uri = self.address.get("MLFLOW_TRACKING_URI", "").rstrip("/")
        if not uri:
            raise RuntimeError(
                "its %d files have no way back: the launcher's option `agent` names no address" % len(found)
            )
        headers = bearer(self.address)
        answer = ask(uri + "/api/2.0/mlflow/runs/get?run_id=" + self.manifest["run"], "GET", None, headers)
        place = json.loads(answer)["run"]["info"]["artifact_uri"]
        if not place.startswith("mlflow-artifacts:"):
            raise RuntimeError("its files belong at %s, and only what goes through the server is brought back" % place)
        import urllib.parse  # as in `ask`

        base = uri + "/api/2.0/mlflow-artifacts/artifacts" + urllib.parse.urlsplit(place).path
        for path in found:
            name = os.path.relpath(path, root).replace(os.sep, "/")
            send(base + "/" + urllib.parse.quote(name), path, headers)


def lay_bundle(source: str, folder: str) -> None:
    """Copy a bundle's files; one that was cut into pieces (`name#3`) is put together again, at its place."""
    for place, _, names in os.walk(source):
        for name in names:
            path = os.path.join(place, name)
            target = os.path.join(folder, os.path.relpath(path, source))
            target, cut, piece = target.rpartition("#mlops#") if "#mlops#" in name else (target, "", "")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            if not cut:
                shutil.copy(path, target)
                continue
            with open(path, "rb") as file, open(target, "r+b" if os.path.exists(target) else "w+b") as whole:
                whole.seek(int(piece))
                shutil.copyfileobj(file, whole, 1 << 20)


def resident(session: int) -> int:
    """Bytes of memory of all processes of a session, as /proc tells."""
    total = 0
    for each in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if each.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                with open("/proc/%s/stat" % each) as file:
                    fields = file.read().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    total += int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
    return total


def bearer(address: Dict[str, str]) -> Dict[str, str]:
    token = address.get("MLFLOW_TRACKING_TOKEN", "")
    if token:
        return {"Authorization": "Bearer " + token}
    user, password = address.get("MLFLOW_TRACKING_USERNAME", ""), address.get("MLFLOW_TRACKING_PASSWORD", "")
    if user:
        import base64

        return {"Authorization": "Basic " + base64.b64encode((user + ":" + password).encode()).decode()}
    return {}


def send(url: str, path: str, headers: Dict[str, str]) -> None:
    size = os.path.getsize(path)
    for left in reversed(range(TRIES)):
        try:
            with open(path, "rb") as file:
                ask(url, "PUT", file, dict(headers, **{"Content-Length": str(size)}), tries=1)
            return
        except RuntimeError:
            if not left:
                raise
            time.sleep(2.0 ** (TRIES - left))


def ask(url: str, method: str, data: Any, headers: Dict[str, str], tries: int = TRIES) -> bytes:
    """The answer's body. Tried again for about two minutes while nobody answers; an answer of no is an answer."""
    import urllib.error  # half of what a job takes to begin: most have nothing to ask
    import urllib.request

    for left in reversed(range(tries)):
        try:
            request = urllib.request.Request(url, data=data, method=method, headers=headers)
            with urllib.request.urlopen(request, timeout=60) as answer:
                body: bytes = answer.read()
                return body
        except urllib.error.HTTPError as no:
            if no.code < 500 or not left:
                raise RuntimeError("%s %s: %d %s" % (method, url, no.code, no.read(300).decode("utf-8", "replace")))
        except OSError as away:
            if not left:
                raise RuntimeError("%s %s: %s" % (method, url, getattr(away, "reason", away)))
        time.sleep(2.0 ** (tries - left))
    raise RuntimeError("it was not asked")


def main() -> int:
    with open(sys.argv[1]) as file:
        manifest = json.load(file)
    folder = os.path.dirname(os.path.abspath(sys.argv[1]))
    os.chdir(folder)
    side = Side(manifest, folder)
    signal.signal(signal.SIGTERM, side.stop)
    signal.signal(signal.SIGINT, side.stop)
    say(begun=int(time.time() * 1000), machine=os.uname().nodename)
    try:
        code = side.run()
        if not manifest["shared"]:
            side.bring_back()
    except RuntimeError as failed:
        say(fail=str(failed))
        code = 1
    say(end=code, stopped=bool(side.stopping and not side.why), why=side.why, at=int(time.time() * 1000))
    return min(code, 255)


if __name__ == "__main__":
    sys.exit(main())

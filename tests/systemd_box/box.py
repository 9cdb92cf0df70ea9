"""A machine in a box: Debian's real systemd as the first process of namespaces of its own.

Its network is a loopback of its own, so that units keep their ports; its files are this machine's,
and what is written over them goes with the box. Headrace is in there as deploy/README.md puts it:
in /opt/headrace, its environment made with the system's Python.

Fixture: `box`. While it lives, the test itself is in the box's network: whatever it connects to,
listens on or starts (a mongod, say) is in there too. Nothing of systemd's is simulated; only limits
of memory and CPU are not to be had. Root on Linux is needed, and a cgroup2 to take a branch of.
"""

import asyncio
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from tornado.ioloop import IOLoop

from tests.readers import close_all

_ROOT = Path(__file__).parents[2]
_BOOT = Path(__file__).with_name("boot.sh")

_NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--net", "--cgroup")
_CLONE_NEWNET = 0x40000000

# Seconds. It boots in one here; a loaded machine may take its time.
_PATIENCE = 30


class CannotBoot(Exception):
    """Why there is no box on this machine."""


class Box:
    """A booted systemd, and the way in."""

    def __init__(self, pid: int) -> None:
        self._enter = ("nsenter", f"--target={pid}", *_NAMESPACES)
        self.pid = pid  # of its first process, seen from outside
        self.root = Path(f"/proc/{pid}/root")  # its files, seen from outside

    async def run(self, *command: str) -> str:
        """What a command in there prints; it has to succeed."""
        code, said = await self.call(*command)
        assert 0 == code, f"{' '.join(command)}: {said}\n{await self.journal()}"
        return said

    async def call(self, *command: str) -> tuple[int, str]:
        """The exit status of a command in there, and what it printed on both of its channels."""
        process = await asyncio.create_subprocess_exec(
            *self._enter,
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode().strip()

    async def show(self, unit: str, name: str) -> str:
        """A property of a unit, as `systemctl show` has it."""
        return await self.run("systemctl", "show", "--value", f"--property={name}", unit)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file in there, its folders included."""
        # By a program in there: from outside a link to /somewhere would lead out of the box.
        script = 'mkdir -p "${0%/*}" && cat >"$0" && chmod "$1" "$0"'
        command = [*self._enter, "sh", "-c", script, path, f"{mode:o}"]
        subprocess.run(command, input=text.encode(), check=True, timeout=_PATIENCE)

    def borrow(self, *units: str) -> None:
        """Give it units of this machine's."""
        for unit in units:
            stock = self.root / "usr/lib/systemd/stock" / unit
            self.write(f"/etc/systemd/system/{unit}", stock.read_text())

    async def journal(self, *options: str) -> str:
        """What systemd and its services have said since the boot: `journal("-u", "headrace@1")`."""
        _, said = await self.call("journalctl", "--no-pager", "--output=cat", *options)
        return said

    def answers(self) -> bool:
        """Whether it has booted."""
        asked = [*self._enter, "systemctl", "is-active", "--quiet", "boot.target"]
        return subprocess.run(asked, check=False, capture_output=True).returncode == 0


@contextmanager
def booted(folder: Path) -> Iterator[Box]:
    """A running box that keeps its things in `folder`. Raises CannotBoot."""
    packed, home, log = folder / "packed", folder / "home", folder / "box.log"
    home.mkdir()
    site = _pack(packed)
    branch = _cgroup_branch()
    try:
        process = _unshared(
            branch, [str(home), str(packed), sysconfig.get_path("purelib"), site], log
        )
        try:
            yield _awaited(process, log)
        finally:
            # With its first process goes everything in there, and when all of it is gone `unshare`.
            living = _children(process)
            for pid in living:
                os.kill(pid, signal.SIGKILL)
            if not living:
                process.kill()
            process.wait()
    finally:
        _remove(branch)


def _pack(packed: Path) -> str:
    """Lay out what an operator installs; where its packages belong in there."""
    headrace = packed / "opt/headrace"
    packages = sorted(file.parent.name for file in _ROOT.glob("*/__init__.py"))
    wanted = ("*.py", "deploy/**/*", *(f"{package}/**/*.py" for package in packages))
    for pattern in wanted:
        for file in filter(Path.is_file, _ROOT.glob(pattern)):
            copy = headrace / file.relative_to(_ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    venv = headrace / ".venv"
    site = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    site.mkdir(parents=True)
    python = _system_python()
    (venv / "bin").mkdir()
    (venv / "bin/python").symlink_to(python)
    (venv / "pyvenv.cfg").write_text(f"home = {python.parent}\n")
    for path in (packed, *packed.rglob("*")):  # whatever this session's umask is
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return str(site.relative_to(packed))


def _system_python() -> Path:
    """An interpreter like ours which a service finds that sees nobody's home."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    found = shutil.which(name, path="/usr/bin:/usr/local/bin")
    if found is None:
        raise CannotBoot(f"needs {name} in /usr/bin or /usr/local/bin")
    return Path(found)


def _cgroup_branch() -> Path:
    """A new, empty branch of the machine's cgroup2, for the box to be the root of."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    roots = [Path(mount[1]) for mount in mounts if mount[2] == "cgroup2"]
    if not roots:
        raise CannotBoot("needs a cgroup2 hierarchy")
    branch = roots[0] / f"headrace-test-{os.getpid()}-{time.monotonic_ns()}"
    try:
        branch.mkdir()
    except OSError as error:
        raise CannotBoot(f"needs a cgroup2 that can be written ({error.strerror})") from error
    return branch


def _remove(branch: Path) -> None:
    """Give the branch back: from its tips down, as only empty ones can be removed."""
    for folder in sorted((path for path in branch.rglob("*") if path.is_dir()), reverse=True):
        folder.rmdir()
    branch.rmdir()


def _unshared(branch: Path, arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    # A shell enters the branch before it becomes the rest: namespaces begin where it is then.
    enter = 'echo 0 >"$0/cgroup.procs" && exec "$@"'
    unshare = ["unshare", *_NAMESPACES, "--fork", "--kill-child"]
    with log.open("wb") as out:
        return subprocess.Popen(
            ["sh", "-c", enter, str(branch), *unshare, str(_BOOT), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _children(process: subprocess.Popen[bytes]) -> list[int]:
    if process.poll() is not None:
        return []
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def _awaited(process: subprocess.Popen[bytes], log: Path) -> Box:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        for pid in _children(process):
            box = Box(pid)
            if box.answers():
                return box
        time.sleep(0.05)
    said = "; ".join(log.read_text(errors="replace").splitlines()[-3:])
    raise CannotBoot(f"needs a machine that lets systemd boot in namespaces ({said})")


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """Have this thread, and what it makes and starts, in the network of a process."""
    with open("/proc/thread-self/ns/net") as own, open(f"/proc/{pid}/ns/net") as theirs:
        _set_network(theirs.fileno())
        try:
            yield
        finally:
            _set_network(own.fileno())


def _set_network(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


@pytest.fixture
def box(
    io_loop: IOLoop,
    tmp_path: Path,
    needs: Callable[[str], str],
    leave_out: Callable[[str, str], NoReturn],
) -> Iterator[Box]:
    """A booted box, with the test in its network; what is asked for later is in it too."""
    for program in ("unshare", "nsenter", "ip", "systemctl"):
        needs(program)
    try:
        with booted(tmp_path) as box, inside(box.pid):
            yield box
            io_loop.run_sync(close_all)
    except CannotBoot as error:
        leave_out(str(error), ".ci/run runs as root, where that works")

"""Start a command inside the disposable root: ``python -m compagnon.app.demo_root --folder F --kind K … -- command``.

The demo's procedures really change a machine, so that machine must not be the one of whoever tries Compagnon. This
launcher composes a small root of its own out of Linux namespaces (no helper program needed) and runs the command there:

- ``/etc``, ``/var``, ``/srv``, ``/home``, ``/opt`` are copies kept in ``F``; only world-readable files are copied;
- ``/usr`` is the machine's own: under a throw-away overlay for root, read-only for an ordinary user;
- ``/proc``, ``/dev``, ``/run``, ``/tmp`` are fresh; nothing else of the machine is there, except the program's own
  files, read-only;
- the command holds no capability on the machine itself (it lives in a user namespace): it cannot set the clock, load a
  module, make a device or mount anything that outlives it;
- the network is the machine's, so that the agent reaches the server.

Everything ends with this process: the kernel kills the inner init when the launcher dies, with it every process of
the namespace, and the mounts with the last of them.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import select
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE = 0x2, 0x4, 0x1000, 0x4000, 0x40000
MNT_DETACH = 2
AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = -100, 0x8000, 0x1
PR_SET_PDEATHSIG = 1
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

HOSTNAME = b"poste-accueil"


_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status; 70 when the root cannot be composed (one sentence on stderr)."""
    arguments = _parser().parse_args(argv)
    try:
        return _launch(arguments)
    except OSError as error:
        print(f"demo machine: {error}", file=sys.stderr)
        return 70


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo_root")
    parser.add_argument("--folder", type=Path, required=True, help="where the root's own files are kept")
    parser.add_argument("--kind", choices=("overlay", "userns"), required=True)
    parser.add_argument("--keep", type=Path, action="append", default=[], help="seen inside, read-only")
    parser.add_argument("--hide", type=Path, action="append", default=[], help="never seen inside")
    parser.add_argument("--share", type=Path, action="append", default=[], help="seen inside, writable")
    parser.add_argument("command", nargs="+")
    return parser


# -- the outer process: makes the namespaces, waits --------------------------------------------------------------------


def _launch(arguments: argparse.Namespace) -> int:
    _die_with_parent()
    alive, ready, mapped = os.pipe(), os.pipe(), os.pipe()
    if arguments.kind == "userns":
        uid, gid = os.getuid(), os.getgid()
        _unshare(CLONE_NEWUSER | CLONE_NEWPID)
        _map_single(uid, gid)
    else:
        _unshare(CLONE_NEWPID)
    child = os.fork()
    if child == 0:
        os.close(alive[1])
        os._exit(_guarded(lambda: _inner(arguments, alive[0], ready[1], mapped[0])))
    os.close(alive[0])
    for end in (ready[1], mapped[0]):
        os.close(end)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command too, which then ends
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    if arguments.kind == "overlay" and os.read(ready[0], 1):
        _map_every_id(child)
        os.write(mapped[1], b"m")
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF


def _guarded(inner: Callable[[], int]) -> int:
    """A forked child must never return into its parent's code."""
    try:
        return inner()
    except OSError as error:
        print(f"demo machine: {error}", file=sys.stderr, flush=True)
        return 70
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 70


def _map_single(uid: int, gid: int) -> None:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _map_every_id(pid: int) -> None:
    """The same ids inside as outside, but no capability outside."""
    for name in ("uid_map", "gid_map"):
        ranges = [line.split() for line in Path(f"/proc/self/{name}").read_text().splitlines()]
        Path(f"/proc/{pid}/{name}").write_text("".join(f"{first} {first} {count}\n" for first, _, count in ranges))


# -- the inner process: composes the root, is its init -----------------------------------------------------------------


def _inner(arguments: argparse.Namespace, alive: int, ready: int, mapped: int) -> int:
    _die_with_parent()
    if select.select([alive], [], [], 0)[0]:
        return 70  # the launcher died before it could be watched
    _unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC)
    os.umask(0o022)
    _libc.sethostname(HOSTNAME, len(HOSTNAME))
    _mount(None, Path("/"), None, MS_REC | MS_PRIVATE)
    _compose(arguments)
    if arguments.kind == "overlay":
        _unshare(CLONE_NEWUSER)
        os.write(ready, b"u")
        os.read(mapped, 1)
        _die_with_parent()  # a change of credentials forgets it
    return _be_init(arguments.command)


def _compose(arguments: argparse.Namespace) -> None:
    root = arguments.folder / "root"
    _bind(root, root)
    _lay_usr(root, arguments)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        _lay_system_folder(root, Path("/") / name)
    _lay_fresh(root)
    for keep in arguments.keep:  # after the fresh folders: the program may lie under /tmp
        if not keep.is_relative_to("/usr"):
            _bind(keep, _folder(root, keep), read_only=True)
    for hidden in arguments.hide:
        if _inside(root, hidden).is_dir():
            _mount("tmpfs", _inside(root, hidden), "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=1m")
    for shared in arguments.share:
        _bind(shared, _folder(root, shared))
    _enter(root)


def _lay_usr(root: Path, arguments: argparse.Namespace) -> None:
    usr = _folder(root, Path("/usr"))
    upper, work = arguments.folder / "usr-upper", arguments.folder / "usr-work"
    try:
        if arguments.kind != "overlay":
            raise OSError("only root may lay an overlay over the machine's own /usr")
        _mount("overlay", usr, "overlay", 0, f"lowerdir=/usr,upperdir={upper},workdir={work}")
    except OSError:
        _bind(Path("/usr"), usr, read_only=True)


def _lay_system_folder(root: Path, path: Path) -> None:
    """``/bin`` and its like: links into /usr on a merged system, folders elsewhere."""
    inside = _inside(root, path)
    if path.is_symlink():
        if not inside.is_symlink():
            inside.symlink_to(path.readlink())
    elif path.is_dir():
        _bind(path, _folder(root, path), read_only=True)


def _lay_fresh(root: Path) -> None:
    _mount("proc", _folder(root, Path("/proc")), "proc", MS_NOSUID | MS_NODEV)
    _bind(root / "proc/sys", root / "proc/sys", read_only=True)
    if (root / "proc/sysrq-trigger").exists():
        _bind(root / "proc/sysrq-trigger", root / "proc/sysrq-trigger", read_only=True)
    _bind(Path("/sys"), _folder(root, Path("/sys")), read_only=True)
    for name, options in (("run", "mode=755,size=16m"), ("tmp", "mode=1777,size=128m"), ("dev", "mode=755,size=1m")):
        _mount("tmpfs", _folder(root, Path("/") / name), "tmpfs", MS_NOSUID, options)
    _lay_devices(root / "dev")


def _lay_devices(dev: Path) -> None:
    for name in DEVICES:
        (dev / name).touch()
        _bind(Path("/dev") / name, dev / name)
    (dev / "pts").mkdir()
    _mount("devpts", dev / "pts", "devpts", MS_NOSUID, "newinstance,ptmxmode=0666,mode=620")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "shm").mkdir(mode=0o1777)
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    (dev / "fd").symlink_to("/proc/self/fd")


def _enter(root: Path) -> None:
    """Make ``root`` the only tree there is: unlike a chroot, nothing is left to climb back to."""
    os.chdir(root)
    _check(_libc.pivot_root(b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def _be_init(command: Sequence[str]) -> int:
    """Boot the services, run the command, bury the dead, end with the command's status."""
    agent = os.fork()
    if agent == 0:
        os._exit(_guarded(lambda: _run(command)))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(agent, signal.SIGTERM))
    while True:
        pid, status = os.wait()
        if pid == agent:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _run(command: Sequence[str]) -> int:
    from compagnon.app import demo_seed

    demo_seed.seed(Path("/"))
    demo_seed.boot(Path("/"))
    os.execvpe(command[0], list(command), _environment())  # noqa: S606 - the caller's own argv, no shell wanted


def _environment() -> dict[str, str]:
    """The caller's, without what leads to the desktop session and its keys."""
    private = ("DBUS_", "XDG_", "SSH_", "SUDO_", "GPG_", "COMPAGNON_DATABASE", "COMPAGNON_SECRET")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(private)}
    return kept | {"HOME": "/root", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


# -- system calls ------------------------------------------------------------------------------------------------------


def _die_with_parent() -> None:
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


def _unshare(flags: int) -> None:
    _check(_libc.unshare(flags), "unshare")


def _bind(source: Path, target: Path, *, read_only: bool = False) -> None:
    _mount(str(source), target, None, MS_BIND | MS_REC)
    if read_only:
        _make_read_only(target)


def _make_read_only(target: Path) -> None:
    attributes = _MountAttr(attr_set=MOUNT_ATTR_RDONLY)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    done = _libc.mount_setattr(AT_FDCWD, os.fsencode(target), AT_RECURSIVE, ctypes.byref(attributes), size)
    _check(done, f"make {target} read-only")


def _mount(source: str | None, target: Path, kind: str | None, flags: int, options: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, kind, options)]
    done = _libc.mount(encoded[0], os.fsencode(target), encoded[1], ctypes.c_ulong(flags), encoded[2])
    _check(done, f"mount {kind or source} on {target}")


def _check(done: int, what: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _inside(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")


def _folder(root: Path, path: Path) -> Path:
    inside = _inside(root, path)
    inside.mkdir(parents=True, exist_ok=True)
    return inside


if __name__ == "__main__":
    sys.exit(main())

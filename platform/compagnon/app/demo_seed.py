"""What is wrong with the demo's machine: seeded inside the disposable root, once, before its agent starts.

Each fault is one that a procedure of the starter library repairs for real. Files are laid from ``demo_data/machine``;
what git does not keep (owners, empty folders, old dates, large logs) is made here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import subprocess
import time
from pathlib import Path

DATA = Path(__file__).parent / "demo_data"
MARKER = "var/lib/compagnon-demo/seeded"
SERVICES = ("chrony", "depot", "cups")
USERS = (("camille", 1500, "Camille Perrin"), ("ancien", 1501, "Ancien collègue"))
SHARED_GROUP = ("partage", 1600)
OLD_LOGS, LOG_SIZE = 24, 1024 * 1024  # files of an application nobody watches, bytes each
DAY = 86_400.0


def seed(root: Path) -> None:
    """Break ``root``, which must be a disposable one, unless it already is. Raises OSError where it cannot write."""
    if (root / MARKER).exists():
        return
    shutil.rmtree(root / "etc/apt/sources.list.d", ignore_errors=True)
    (root / "etc/resolv.conf").unlink(missing_ok=True)  # often a link into a /run that is not here
    shutil.copytree(DATA / "machine", root, dirs_exist_ok=True)
    for fault in (_users, _services, _print_queue, _shared_folder, _logs, _time_zone, _ssh, _package_source):
        fault(root)
    (root / MARKER).touch()


def boot(root: Path) -> None:
    """Start the services of the demo machine, as its own init would. One that refuses to start stays down."""
    for name in SERVICES:
        _quietly(str(root / "etc/init.d" / name), "start")


def _users(root: Path) -> None:
    """Two people. An ordinary user's root has one group id only: the shared group is then another name for it."""
    gid = 0 if _has_one_id() else SHARED_GROUP[1]
    shadow = ["root:*:19000:0:99999:7:::"]
    for name, uid, full_name in USERS:
        _append(root / "etc/passwd", f"{name}:x:{uid}:{uid}:{full_name}:/home/{name}:/bin/bash")
        _append(root / "etc/group", f"{name}:x:{uid}:")
        shadow.append(f"{name}:$6$demo${secrets.token_hex(43)}:19000:0:99999:7:::")  # no password has this hash
    _append(root / "etc/group", f"{SHARED_GROUP[0]}:x:{gid}:camille")
    (root / "etc/shadow").write_text("\n".join(shadow) + "\n")
    (root / "etc/shadow").chmod(0o600)
    (root / "etc/passwd").chmod(0o664)  # a conformance check sees it
    _home(root / "home/camille", 1500)
    _old_account(root / "home/ancien", 1501)


def _home(home: Path, uid: int) -> None:
    files = {
        "Documents/devis.txt": "Devis du 12 mars : 480 €\n",
        "Documents/courrier.txt": "Madame, Monsieur,\n",
        "Images/plan.txt": "Plan de l'atelier\n",
        ".config/atelier.conf": "langue=fr\n",
        ".cache/vignette": "x" * 4096,
    }
    for name, text in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    _own_all(home, uid)
    home.chmod(0o755)


def _old_account(home: Path, uid: int) -> None:
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh/authorized_keys").write_text("# clé de l'ancien collègue\n")
    _own_all(home, uid)


def _services(root: Path) -> None:
    """Enabled the SysV way, which the `service` check reads where there is no systemd."""
    for name in SERVICES:
        (root / "etc/init.d" / name).chmod(0o755)  # an installed package may have lost it
        for level in "2345":
            link = root / f"etc/rc{level}.d/S01{name}"
            link.parent.mkdir(exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(f"../init.d/{name}")
    lock = root / "var/lib/depot/depot.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text("4242\n")


def _print_queue(root: Path) -> None:
    """A damaged job at the head of the queue, and two good ones behind it."""
    spool = root / "var/spool/cups"
    spool.mkdir(parents=True, exist_ok=True)
    spool.chmod(0o710)
    for number, text in ((41, ""), (42, "Facture 2024-118\n"), (43, "Bon de livraison\n")):
        (spool / f"c{number:05}").write_text(f"job {number}\n")
        (spool / f"d{number:05}-001").write_text(text)


def _shared_folder(root: Path) -> None:
    shared = root / "srv/partage"
    (shared / "Factures").mkdir(parents=True, exist_ok=True)
    for name in ("Factures/2024-117.txt", "Factures/2024-118.txt", "liste.txt"):
        (shared / name).write_text(f"{name}\n")
        (shared / name).chmod(0o600)
    shared.chmod(0o755)
    (shared / "Factures").chmod(0o700)


def _logs(root: Path) -> None:
    folder = root / "var/log/applications"
    folder.mkdir(parents=True, exist_ok=True)
    line = b"2024-03-12 08:00:00 facturation: connexion au serveur impossible, nouvel essai\n"
    block = (line * (LOG_SIZE // len(line) + 1))[:LOG_SIZE]
    for number in range(1, OLD_LOGS + 1):
        path = folder / f"facturation.log.{number}"
        path.write_bytes(block)
        old = time.time() - (30 + number) * DAY
        os.utime(path, (old, old))
    (folder / "facturation.log").write_bytes(line)
    archives = root / "var/cache/apt/archives"
    (archives / "ancien-paquet_1.0_all.deb").write_bytes(b"\0" * LOG_SIZE)


def _time_zone(root: Path) -> None:
    (root / "etc/localtime").unlink(missing_ok=True)
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/America/New_York")
    (root / "etc/timezone").write_text("America/New_York\n")


def _ssh(root: Path) -> None:
    """Host keys of its own; the machine's never come in here."""
    shutil.rmtree(root / "etc/ssh/sshd_config.d", ignore_errors=True)
    if shutil.which("ssh-keygen"):
        _quietly("ssh-keygen", "-A")


def _package_source(root: Path) -> None:
    """A package source in a folder, so that installing works without network."""
    source = root / "var/lib/compagnon-demo/depot"
    source.mkdir(parents=True, exist_ok=True)
    tree, package = DATA / "package/inventaire-poste", source / "inventaire-poste_1.0_all.deb"
    if not shutil.which("dpkg-deb"):
        return
    _quietly("dpkg-deb", "--root-owner-group", "--build", str(tree), str(package))
    if package.exists():
        control = (tree / "DEBIAN/control").read_text().rstrip("\n")
        (source / "Packages").write_text(f"{control}\n{_index_lines(package)}\n")


def _index_lines(package: Path) -> str:
    content = package.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return f"Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n"


def _append(path: Path, line: str) -> None:
    with path.open("a") as file:
        file.write(line + "\n")


def _own_all(folder: Path, uid: int) -> None:
    for path in (folder, *folder.rglob("*")):
        _own(path, uid)


def _own(path: Path, name: int) -> None:
    """Give ``path`` to this user and group, where the root has them."""
    if not _has_one_id():
        os.chown(path, name, name)


def _has_one_id() -> bool:
    """In an ordinary user's namespace only one id exists, and it is root's."""
    return sum(int(line.split()[2]) for line in Path("/proc/self/gid_map").read_text().splitlines()) == 1


def _quietly(*command: str) -> None:
    """Run one of the machine's own programs; a demo without it is still a demo."""
    null = subprocess.DEVNULL
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(command, stdin=null, stdout=null, stderr=null, timeout=30, check=False)  # noqa: S603 - fixed words

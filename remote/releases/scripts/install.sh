#!/bin/sh
# Installs the agent of Compagnon on this machine, from its own server:
#
#     curl -fsSL SERVER/agent/install.sh | sh -s -- CODE
#
# As root it becomes a service of the machine (/opt/compagnon-agent); as anybody else an agent of that account
# (~/.local/share/compagnon-agent). "compagnon-agent uninstall" takes everything away again.
set -eu

server=@SERVER@
sha256=@SHA256@

stop() {
    printf 'compagnon-agent: %s\n' "$1" >&2
    exit 1
}

# All in a function: a script that was cut off on its way here does nothing.
main() {
    [ $# -ge 1 ] || stop "Please give the code that the technician reads out: … | sh -s -- CODE"
    [ -n "${HOME:-}" ] || HOME=/
    if [ "$(id -u)" = 0 ]; then
        home=/opt/compagnon-agent
        link=/usr/local/bin/compagnon-agent
    else
        home=${XDG_DATA_HOME:-$HOME/.local/share}/compagnon-agent
        link=$HOME/.local/bin/compagnon-agent
    fi
    home=${COMPAGNON_AGENT_PREFIX:-$home}
    link=${COMPAGNON_AGENT_LINK:-$link}

    python=$(find_python) || stop "Python 3.11 or newer is needed (Debian: apt install python3 python3-venv)."
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        stop "Python has no venv module here (Debian: apt install python3-venv)."

    if [ ! -e "$home/launcher.py" ]; then
        trap 'rm -rf "$home"' EXIT
        put_in_place
        trap - EXIT
    fi
    mkdir -p "$(dirname "$link")"
    ln -sf "$home/compagnon-agent" "$link"
    printf '%s\n' "$link" >"$home/link"

    "$home/compagnon-agent" enroll "$server" "$@"
    "$home/compagnon-agent" install-service
}

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

put_in_place() {
    umask 022
    mkdir -p "$home/slots/a"
    "$python" -m venv "$home/venv"
    inside="$home/venv/bin/python"
    # What the agent imports comes from the server as well. Only where that does not fit this machine, pip asks its index.
    get_packages --no-index || get_packages || stop "The packages that the agent needs could not be installed."
    # To look at a screen; where they are not to be had, the agent does without.
    "$inside" -I -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
        --no-index --find-links "$server/agent/packages/" mss pillow >/dev/null 2>&1 || true
    # The agent itself, compared with the digest that came with this script.
    "$inside" -I - "$server/agent/agent.whl" "$home" "$sha256" <<'PYTHON' || stop "The agent could not be fetched."
import hashlib, io, pathlib, sys, urllib.request, zipfile

address, home, sha256 = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3]
content = urllib.request.urlopen(address, timeout=60).read()
if hashlib.sha256(content).hexdigest() != sha256:
    sys.exit("it is not the file that this script names")
with zipfile.ZipFile(io.BytesIO(content)) as archive:
    archive.extractall(home / "slots" / "a", [name for name in archive.namelist() if name.startswith("compagnon_agent/")])
(home / "launcher.py").write_bytes((home / "slots" / "a" / "compagnon_agent" / "launcher.py").read_bytes())
PYTHON
    printf '#!/bin/sh\nhere=$(dirname "$(readlink -f "$0")")\nexec "$here/venv/bin/python" -I "$here/launcher.py" "$@"\n' \
        >"$home/compagnon-agent"
    chmod 755 "$home/compagnon-agent"
}

get_packages() {
    "$inside" -I -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: \
        "$@" --find-links "$server/agent/packages/" cryptography psutil websockets
}

main "$@"

"""Cold and warm start of ``compagnon up --demo``: from the command to the first page that a browser gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

LIMIT = 120  # seconds


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="compagnon-bench-") as folder:
        Path(folder).chmod(0o711)
        reference = _python_start()
        cold = _start(Path(folder) / "data")
        warm = min(_start(Path(folder) / "data") for _ in range(3))
    print(f"python -c pass           {reference:6.2f} s")
    print(f"cold start (new data)    {cold:6.2f} s   {cold / reference:6.0f} x")
    print(f"warm start (best of 3)   {warm:6.2f} s   {warm / reference:6.0f} x")


def _python_start() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


def _start(data: Path) -> float:
    port = _free_port()
    environment = {**os.environ, "COMPAGNON_DATA_DIR": str(data), "COMPAGNON_PORT": str(port)}
    start = time.perf_counter()
    command = [sys.executable, "-m", "compagnon.app.cli", "up", "--demo"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        _wait_for_page(f"http://127.0.0.1:{port}/sign-in", start)
        return time.perf_counter() - start
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def _wait_for_page(url: str, start: float) -> None:
    while time.perf_counter() - start < LIMIT:
        try:
            with urllib.request.urlopen(url, timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:  # not there yet, or bound but not yet answering
            time.sleep(0.02)
    raise SystemExit(f"no page within {LIMIT} s")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()

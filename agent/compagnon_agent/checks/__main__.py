"""``python -m compagnon_agent.checks``: evaluates checks in a process of its own, which can be killed when one hangs.

Standard input: a JSON list of checks. Standard output: one line of JSON for each result, in order.
"""

from __future__ import annotations

import sys

from ..protocol.checks import MAX_CHECKS, CheckResult, check_codec
from ..protocol.wire import dumps, loads, record, sequence
from .native import evaluate


def main() -> None:
    source = sys.stdin.buffer.read()
    checks = sequence(check_codec, MAX_CHECKS).read(loads(source, limit=1024 * 1024), "checks")
    codec = record(CheckResult)
    for check in checks:
        line = dumps(codec.write(evaluate(check))) + "\n"
        sys.stdout.buffer.write(line.encode())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

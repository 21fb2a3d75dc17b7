"""``python -m compagnon_agent.checks``: evaluates checks in a process of its own, which can be killed when one hangs.

Standard input: a JSON list of checks. Standard output: one line of JSON for each result, in order.
"""

from __future__ import annotations

import sys

from ..protocol.checks import CheckResult, check_codec
from ..protocol.duties import MAX_SCHEDULED
from ..protocol.wire import dumps, loads, record, sequence
from .native import batch_of, evaluate


def main() -> None:
    source = sys.stdin.buffer.read()
    checks = sequence(check_codec, MAX_SCHEDULED).read(loads(source, limit=1024 * 1024), "checks")
    batch = batch_of(checks)
    codec = record(CheckResult)
    for check in checks:
        line = dumps(codec.write(evaluate(check, batch))) + "\n"
        sys.stdout.buffer.write(line.encode())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

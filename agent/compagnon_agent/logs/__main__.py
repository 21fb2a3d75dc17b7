"""``python -m compagnon_agent.logs``: one question on standard input, its answer on standard output, as JSON lines.

A process of its own: it can be ended when an expression takes for ever or a log is endless, and what it needs of memory
goes with it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from ..protocol.wire import JSON, WireError, dumps, loads, read_record
from .following import follow
from .model import Query
from .reading import Refused, page_json, read
from .sources import as_json, listed


def answers(asked: dict[str, JSON]) -> Iterator[dict[str, JSON]]:
    what = asked.pop("what", None)
    if what == "sources":
        yield {"sources": [as_json(source) for source in listed()]}
        return
    query = read_record(Query, asked, "")
    if what == "follow":
        yield from follow(query)
    else:
        yield page_json(read(query))


def main() -> None:
    try:
        asked = loads(sys.stdin.readline(), limit=16 * 1024)
        for answer in answers(asked if isinstance(asked, dict) else {}):
            sys.stdout.write(dumps(answer) + "\n")
            sys.stdout.flush()
    except Refused as fault:
        sys.stdout.write(dumps({"code": fault.code, "error": str(fault)}) + "\n")
    except WireError as fault:
        sys.stdout.write(dumps({"code": "invalid", "error": str(fault)}) + "\n")
    except BrokenPipeError:
        sys.stderr.close()  # nobody listens any more


if __name__ == "__main__":
    main()

"""SQL of the runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from compagnon.db import Connection
from kb.learning.model import Outcome as RunsOutcome
from procedures.ports import MachineRef
from procedures.runs.model import (
    Attempt,
    Evidence,
    EvidenceKind,
    Handover,
    Outcome,
    Run,
    RunState,
    Visit,
)

T = TypeVar("T")

RUN_COLUMNS = """
SELECT r.id, r.version_id, d.code, d.locale, v.number, v.digest, v.title, r.machine_id, r.ticket_id, r.parent_id,
    r.parent_step, r.started_by, r.member_id, m.name AS member_name, r.parameters, r.state, r.current_step, r.revision,
    r.started_at, r.touched_at, r.ended_at, r.end_reason, r.result
"""
RUN_JOINS = """
JOIN procedure_versions v ON v.id = r.version_id
JOIN procedure_documents d ON d.id = v.document_id
JOIN members m ON m.id = r.member_id
"""
RUN = f"{RUN_COLUMNS} FROM runs r {RUN_JOINS}"
BY_ID = RUN + "WHERE r.id = %(id)s"
# Not against those who only refer to the run: they may hold the ticket that is locked next.
LOCKED = RUN + "WHERE r.id = %(id)s FOR NO KEY UPDATE OF r"
OF_TICKET = RUN + "WHERE r.ticket_id = %(id)s ORDER BY r.id LIMIT 200"
OF_MACHINE = RUN + "WHERE r.machine_id = %(id)s ORDER BY r.id DESC LIMIT %(limit)s"
OF_PARENT = RUN + "WHERE r.parent_id = %(id)s ORDER BY r.id LIMIT 50"
ACTIVE_OF_MEMBER = RUN + "WHERE r.member_id = %(id)s AND r.state = 'active' ORDER BY r.touched_at DESC LIMIT 100"
ACTIVE = RUN + "WHERE r.state = 'active' ORDER BY r.touched_at DESC LIMIT 100"
LAST_ENDED = "SELECT * FROM runs WHERE state <> 'active' ORDER BY ended_at DESC LIMIT 50"
ENDED = f"{RUN_COLUMNS} FROM ({LAST_ENDED}) r {RUN_JOINS} ORDER BY r.ended_at DESC"
UNSETTLED = (
    RUN
    + """WHERE r.ticket_id = %(id)s AND (r.state = 'active'
    OR EXISTS (SELECT FROM run_attempts a WHERE a.run_id = r.id AND a.state = 'open')) ORDER BY r.id LIMIT 1"""
)

START = """
INSERT INTO runs (version_id, machine_id, environment, ticket_id, parent_id, parent_step, started_by, member_id,
    parameters, current_step)
VALUES (%(version_id)s, %(machine_id)s, %(environment)s, %(ticket_id)s, %(parent_id)s, %(parent_step)s, %(member)s,
    %(member)s, %(parameters)s, %(step)s)
RETURNING id
"""
MOVE = """
UPDATE runs SET revision = revision + 1, touched_at = now(), current_step = %(step)s, state = %(state)s,
    ended_at = CASE WHEN %(state)s = 'active' THEN NULL ELSE now() END, end_reason = %(reason)s
WHERE id = %(id)s AND revision = %(revision)s AND state = 'active'
"""
TOUCH = """
UPDATE runs SET revision = revision + 1, touched_at = now()
WHERE id = %(id)s AND revision = %(revision)s AND state = 'active'
"""
HAND_OVER = """
UPDATE runs SET revision = revision + 1, touched_at = now(), member_id = %(to)s
WHERE id = %(id)s AND revision = %(revision)s AND state = 'active'
"""
HANDED_OVER = "INSERT INTO run_handovers (run_id, from_id, to_id) VALUES (%(id)s, %(from)s, %(to)s)"
HANDOVERS = """
SELECT a.name AS from_name, b.name AS to_name, h.created_at FROM run_handovers h
JOIN members a ON a.id = h.from_id JOIN members b ON b.id = h.to_id WHERE h.run_id = %(id)s ORDER BY h.id
"""
RESULT = "UPDATE runs SET result = %(result)s WHERE id = %(id)s"
OUTCOMES = """
SELECT 'procedure:' || d.code || '.' || d.locale AS document, coalesce(r.environment, '') AS environment,
    count(*) FILTER (WHERE r.state = 'completed' AND coalesce(r.result->>'state', '') <> 'failed')::int AS well,
    count(*)::int AS total
FROM runs r JOIN procedure_versions v ON v.id = r.version_id JOIN procedure_documents d ON d.id = v.document_id
WHERE r.state <> 'active' AND r.ended_at > now() - %(age)s
GROUP BY d.code, d.locale, GROUPING SETS ((r.environment), ())
HAVING GROUPING(r.environment) = 1 OR r.environment <> ''
"""

VISIT = """
SELECT s.id, s.run_id, s.ordinal, s.step_id, s.outcome, s.deviation, s.justification, s.attested_by,
    m.name AS attested_name, s.verified_by, s.seconds, s.started_at, s.ended_at
FROM run_steps s LEFT JOIN members m ON m.id = s.attested_by
WHERE s.run_id = %(id)s ORDER BY s.ordinal
"""
ARRIVE = """
INSERT INTO run_steps (run_id, ordinal, step_id)
VALUES (%(id)s, (SELECT coalesce(max(ordinal), 0) + 1 FROM run_steps WHERE run_id = %(id)s), %(step)s)
"""
END_VISIT = """
UPDATE run_steps SET outcome = %(outcome)s, deviation = %(deviation)s, justification = %(justification)s,
    attested_by = %(attested_by)s, verified_by = %(verified_by)s, seconds = seconds + %(seconds)s, ended_at = now()
WHERE id = %(id)s AND outcome IS NULL
"""
ADD_SECONDS = "UPDATE run_steps SET seconds = seconds + %(seconds)s WHERE run_id = %(id)s AND outcome IS NULL"
SECONDS_OF_TICKET = """
SELECT coalesce(sum(s.seconds), 0) FROM run_steps s JOIN runs r ON r.id = s.run_id WHERE r.ticket_id = %(id)s
"""

ATTEMPT = """
SELECT a.id::text, a.run_id, a.run_step_id, coalesce(s.step_id, 'result') AS step_id, a.phase, a.member_id,
    a.machine_id, a.state, a.output, a.exit_code, a.checks, a.requested_at, a.started_at, a.ended_at,
    a.expires_at, a.why
FROM run_attempts a LEFT JOIN run_steps s ON s.id = a.run_step_id
"""
ATTEMPTS = ATTEMPT + "WHERE a.run_id = %(id)s ORDER BY a.requested_at, a.id LIMIT 1000"
ATTEMPT_BY_ID = ATTEMPT + "WHERE a.id = %(id)s"
OPEN_ATTEMPTS = ATTEMPT + "WHERE a.state = 'open' ORDER BY a.requested_at"
ASK = """
INSERT INTO run_attempts (id, run_id, run_step_id, phase, member_id, machine_id)
VALUES (%(id)s, %(run_id)s, %(visit_id)s, %(phase)s, %(member)s, %(machine)s)
"""
# An agent that was out of reach may still bring its result; so may one that nobody waits for any more, which changes
# nothing but what is known. Nothing else is ever replaced.
REPORT = """
UPDATE run_attempts SET state = CASE WHEN state = 'abandoned' THEN state ELSE %(state)s END,
    output = %(output)s, exit_code = %(exit_code)s, checks = %(checks)s,
    started_at = %(started_at)s, ended_at = %(ended_at)s
WHERE id = %(id)s AND (state = 'open' OR (%(state)s <> 'unreachable'
    AND (state IN ('unreachable', 'queued') OR (state = 'abandoned' AND started_at IS NULL))))
"""
ABANDON = """
UPDATE run_attempts SET state = 'abandoned', started_at = NULL, ended_at = now() WHERE state IN ('open', 'queued')
"""
ABANDON_ONE = ABANDON + " AND id = %(id)s"
ABANDON_ALL = ABANDON + " AND run_id = %(id)s RETURNING id::text, machine_id"
REOPEN = "UPDATE run_attempts SET state = 'open' WHERE id = %(id)s AND state = 'unreachable'"

EVIDENCE = """
SELECT e.id, e.run_id, e.run_step_id, s.step_id, e.member_id, m.name AS member_name, e.kind, e.body, e.sha256,
    e.media_type, e.bytes, e.created_at
FROM run_evidence e JOIN members m ON m.id = e.member_id LEFT JOIN run_steps s ON s.id = e.run_step_id
"""
EVIDENCE_OF_RUN = EVIDENCE + "WHERE e.run_id = %(id)s ORDER BY e.id LIMIT 1000"
EVIDENCE_BY_ID = EVIDENCE + "WHERE e.run_id = %(run_id)s AND e.id = %(id)s"
ADD_EVIDENCE = """
INSERT INTO run_evidence (run_id, run_step_id, member_id, kind, body, sha256, media_type, bytes)
VALUES (%(run_id)s, %(visit_id)s, %(member)s, %(kind)s, %(body)s, %(sha256)s, %(media_type)s, %(bytes)s) RETURNING id
"""
COUNT_EVIDENCE = "SELECT count(*) FROM run_evidence WHERE run_id = %(id)s"


async def _one(conn: Connection, row: type[T], query: str, /, **params: Any) -> T | None:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchone()


async def _all(conn: Connection, row: type[T], query: str, /, **params: Any) -> list[T]:  # noqa: ANN401
    async with conn.cursor(row_factory=class_row(row)) as cursor:
        return await (await cursor.execute(query, params)).fetchall()


async def _value(conn: Connection, query: str, /, **params: Any) -> int:  # noqa: ANN401
    row = await (await conn.execute(query, params)).fetchone()
    assert row is not None
    return int(row[0])


async def _changed(conn: Connection, query: str, /, **params: Any) -> bool:  # noqa: ANN401
    return (await conn.execute(query, params)).rowcount == 1


async def get(conn: Connection, run_id: int) -> Run | None:
    return await _one(conn, Run, BY_ID, id=run_id)


async def lock(conn: Connection, run_id: int) -> Run | None:
    return await _one(conn, Run, LOCKED, id=run_id)


async def of_ticket(conn: Connection, ticket_id: int) -> list[Run]:
    return await _all(conn, Run, OF_TICKET, id=ticket_id)


async def of_machine(conn: Connection, machine_id: int, limit: int) -> list[Run]:
    return await _all(conn, Run, OF_MACHINE, id=machine_id, limit=limit)


async def of_parent(conn: Connection, run_id: int) -> list[Run]:
    return await _all(conn, Run, OF_PARENT, id=run_id)


async def active_of(conn: Connection, member_id: int) -> list[Run]:
    return await _all(conn, Run, ACTIVE_OF_MEMBER, id=member_id)


async def active(conn: Connection) -> list[Run]:
    return await _all(conn, Run, ACTIVE)


async def ended(conn: Connection) -> list[Run]:
    return await _all(conn, Run, ENDED)


async def unsettled(conn: Connection, ticket_id: int) -> Run | None:
    """A run of the ticket that is followed still, or that waits for an agent."""
    return await _one(conn, Run, UNSETTLED, id=ticket_id)


async def start(
    conn: Connection,
    *,
    version_id: int,
    machine: MachineRef | None,
    ticket_id: int | None,
    parent_id: int | None,
    parent_step: str | None,
    member_id: int,
    parameters: Mapping[str, str],
    step: str,
) -> int:
    """A new run at its first step; its id."""
    where = {"machine_id": machine and machine.id, "environment": (machine.environment or None) if machine else None}
    params = {"version_id": version_id, "ticket_id": ticket_id, "parent_id": parent_id, **where}
    more = {"parent_step": parent_step, "member": member_id, "parameters": Jsonb(dict(parameters)), "step": step}
    run_id = await _value(conn, START, **params, **more)
    await conn.execute(ARRIVE, {"id": run_id, "step": step})
    return run_id


async def move(conn: Connection, run: Run, *, step: str | None, state: RunState, reason: str = "") -> bool:
    """Go to ``step`` (an open visit is made) or end the run; False when somebody acted since ``run`` was read."""
    params = {"id": run.id, "revision": run.revision, "step": step, "state": state, "reason": reason}
    if not await _changed(conn, MOVE, **params):
        return False
    if state is RunState.ACTIVE:
        await conn.execute(ARRIVE, {"id": run.id, "step": step})
    return True


async def touch(conn: Connection, run: Run, seconds: int) -> bool:
    """Count one more change, and the time since the last."""
    await conn.execute(ADD_SECONDS, {"id": run.id, "seconds": seconds})
    return await _changed(conn, TOUCH, id=run.id, revision=run.revision)


async def touch_time(conn: Connection, run: Run, seconds: int) -> None:
    """Account time to the open visit, for changes that do not end it."""
    await conn.execute(ADD_SECONDS, {"id": run.id, "seconds": seconds})


async def hand_over(conn: Connection, run: Run, to_id: int) -> bool:
    params = {"id": run.id, "revision": run.revision, "from": run.member_id, "to": to_id}
    if not await _changed(conn, HAND_OVER, **params):
        return False
    await conn.execute(HANDED_OVER, params)
    return True


async def handovers(conn: Connection, run_id: int) -> list[Handover]:
    return await _all(conn, Handover, HANDOVERS, id=run_id)


async def set_result(conn: Connection, run_id: int, result: Mapping[str, Any]) -> None:
    await conn.execute(RESULT, {"id": run_id, "result": Jsonb(dict(result))})


async def outcomes(conn: Connection, age: timedelta) -> list[RunsOutcome]:
    """How the runs ended that ended in this time: by document and environment, and by document ("")."""
    return await _all(conn, RunsOutcome, OUTCOMES, age=age)


async def visits(conn: Connection, run_id: int) -> list[Visit]:
    return await _all(conn, Visit, VISIT, id=run_id)


async def end_visit(
    conn: Connection,
    visit_id: int,
    outcome: Outcome,
    *,
    deviation: bool,
    justification: str,
    attested_by: int | None,
    verified_by: int | None,
    seconds: int,
) -> bool:
    params = {"id": visit_id, "outcome": outcome, "deviation": deviation, "justification": justification}
    who = {"attested_by": attested_by, "verified_by": verified_by, "seconds": seconds}
    return await _changed(conn, END_VISIT, **params, **who)


async def seconds_of_ticket(conn: Connection, ticket_id: int) -> int:
    return await _value(conn, SECONDS_OF_TICKET, id=ticket_id)


async def attempts(conn: Connection, run_id: int) -> list[Attempt]:
    return await _all(conn, Attempt, ATTEMPTS, id=run_id)


async def attempt(conn: Connection, attempt_id: str) -> Attempt | None:
    return await _one(conn, Attempt, ATTEMPT_BY_ID, id=attempt_id)


async def open_attempts(conn: Connection) -> list[Attempt]:
    return await _all(conn, Attempt, OPEN_ATTEMPTS)


async def ask(conn: Connection, attempt_id: str, *, run: Run, visit_id: int | None, phase: str, member_id: int) -> None:
    params = {"id": attempt_id, "run_id": run.id, "visit_id": visit_id, "phase": phase}
    await conn.execute(ASK, {**params, "member": member_id, "machine": run.machine_id})


async def report(conn: Connection, attempt_id: str, columns: Mapping[str, Any]) -> bool:
    """Keep an agent's report; False when there is one already."""
    return await _changed(conn, REPORT, **{**columns, "id": attempt_id, "checks": Jsonb(columns["checks"])})


async def abandon_attempt(conn: Connection, attempt_id: str) -> bool:
    """No longer wait for its report; False when it is there already."""
    return await _changed(conn, ABANDON_ONE, id=attempt_id)


async def abandon_attempts(conn: Connection, run_id: int) -> list[tuple[str, int]]:
    """No longer wait for any of a run: their ids, and whose reports they would have been."""
    return await (await conn.execute(ABANDON_ALL, {"id": run_id})).fetchall()


async def reopen(conn: Connection, attempt_id: str) -> bool:
    return await _changed(conn, REOPEN, id=attempt_id)


async def evidence(conn: Connection, run_id: int) -> Sequence[Evidence]:
    return await _all(conn, Evidence, EVIDENCE_OF_RUN, id=run_id)


async def one_evidence(conn: Connection, run_id: int, evidence_id: int) -> Evidence | None:
    return await _one(conn, Evidence, EVIDENCE_BY_ID, run_id=run_id, id=evidence_id)


async def count_evidence(conn: Connection, run_id: int) -> int:
    return await _value(conn, COUNT_EVIDENCE, id=run_id)


async def add_evidence(
    conn: Connection,
    run_id: int,
    visit_id: int | None,
    member_id: int,
    kind: EvidenceKind,
    *,
    body: str,
    sha256: str | None = None,
    media_type: str | None = None,
    size: int | None = None,
) -> int:
    params = {"run_id": run_id, "visit_id": visit_id, "member": member_id, "kind": kind, "body": body}
    return await _value(conn, ADD_EVIDENCE, **params, sha256=sha256, media_type=media_type, bytes=size)

"""Kill -9 of the server during a run, a terminal, writes: nothing acknowledged is lost, nothing doubled."""

import asyncio
import os
import random
import re
import uuid
from contextlib import suppress

import httpx
import pytest
from kill_parts import PROCEDURE, World, world
from remote_parts import until
from up_parts import as_url, new_up

from procedures.runs.acts import EVIDENCE_LIMIT

pytestmark = pytest.mark.timeout(300)
KILLS = int(os.environ.get("COMPAGNON_BENCH_KILLS", "5"))
NOTES = EVIDENCE_LIMIT - KILLS  # a run takes no more, and says so; one that is sent again may be kept twice
LINES = 500


@pytest.fixture
async def here(database, tmp_path):
    with new_up() as up:
        up.environ = {"COMPAGNON_DATABASE_URL": as_url(database)}
        async with world(up, tmp_path / "agent", database=database, procedures=[PROCEDURE]) as made:
            yield made


async def begin(here: World, file: str) -> str:
    form = {"machine": here.agent.machine_id, "ticket": here.ticket, "parameter-fichier": file}
    answer = await here.alice.post("/procedures/tst-001/start", data=form)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def run_of(here: World) -> tuple[str, int, str]:
    """Its current step, revision and state."""
    ((step, revision, state),) = here.ask("SELECT current_step, revision, state FROM runs")
    return step, revision, state


async def execute(here: World, run: str) -> None:
    form = {"phase": "execute", "revision": run_of(here)[1]}
    answer = await here.alice.post(f"{run}/ask", data=form)
    assert answer.status_code == 303, answer.text


async def test_a_run_whose_step_is_executing_resumes_by_itself(here, tmp_path):
    """Killed while the agent works: its report arrives after the restart, the step is verified, and was done once."""
    file = tmp_path / "lines"
    await until(here.online, what="the agent is online")
    run = await begin(here, str(file))
    await execute(here, run)
    await until(lambda: file.exists(), what="the agent began")
    await here.restart()
    await until(lambda: run_of(here)[0] == "s2", seconds=30, what="the step was verified and the run went on")
    assert file.read_text().split() == ["commence", "finit"]
    attempts = here.ask("SELECT phase, state, output FROM run_attempts ORDER BY requested_at")
    assert attempts == [("execute", "done", "sortie de la commande\n"), ("verify", "done", "")]
    answer = await here.alice.post(f"{run}/outcome", data={"outcome": "done", "revision": run_of(here)[1]})
    assert answer.status_code == 303
    assert run_of(here)[2] == "completed"
    assert await here.audit_is_whole()


async def test_killed_again_and_again_during_one_step_it_is_done_once(here, tmp_path):
    file = tmp_path / "lines"
    await until(here.online)
    await execute(here, await begin(here, str(file)))
    for _ in range(3):
        await here.restart()
    await until(lambda: run_of(here)[0] == "s2", seconds=30)
    assert file.read_text().split() == ["commence", "finit"]


async def test_server_and_agent_killed_during_a_step_it_is_not_done_twice(here, tmp_path):
    """Nobody can say how far it came: the step is reported as failed, for a person to look, never done again."""
    file = tmp_path / "lines"
    await until(here.online)
    run = await begin(here, str(file))
    await execute(here, run)
    await until(lambda: file.exists())
    here.agent.process.kill()
    await here.agent.process.wait()
    here.up.kill()
    await here.agent.start()
    await here.start()

    def answered() -> bool:
        return here.ask("SELECT state FROM run_attempts WHERE phase = 'execute'")[0][0] != "open"

    await until(answered, seconds=30, what="the attempt has its answer")
    assert here.ask("SELECT state FROM run_attempts") == [("failed",)]
    await asyncio.sleep(3.5)
    assert file.read_text().split().count("commence") == 1
    assert run_of(here)[0] == "s1"


async def test_a_printing_terminal_loses_and_doubles_no_line(here):
    page = await here.open_terminal()
    counting = f"for i in $(seq 1 {LINES}); do echo line-$i-; sleep 0.01; done"
    await page.type(f"echo shell-$$-; {counting}; echo all''done\r")
    await page.see("line-40-")
    here.up.kill()
    await page.type("echo typed''meanwhile\r")  # waits in the page
    assert b"line-40-" in here.recorded(), "readable up to the kill, and its chain holds"
    await here.start()
    await page.open(resume=True)
    await page.see("alldone", seconds=60)
    await page.see("typedmeanwhile")
    await page.type("echo shell-$$-\r")
    await until(lambda: shells(page.output) and bytes(page.output).count(b"shell-") >= 4, what="the shell answers")
    assert len(shells(page.output)) == 1, "the same shell"
    for what in (bytes(page.output), here.recorded()):
        text = what.decode()
        assert [i for i in range(1, LINES + 1) if text.count(f"line-{i}-") != 1] == []
        assert text.count("typedmeanwhile") == 1
    assert here.agent.process.returncode is None
    assert await here.audit_is_whole()
    await page.close()


async def test_what_is_typed_across_many_kills_arrives_once(here, tmp_path):
    """Keys come without a pause, also while the server is away; each line reaches the shell and comes back, once."""
    page, file = await here.open_terminal(), tmp_path / "typed"
    await page.type(f"stty -echo; echo pr''et; tee {file}; echo fi''ni\r")
    await page.see("pret\r\n")
    typing = asyncio.create_task(type_for_ever(page))
    for _ in range(KILLS):
        before = page.arrived
        await until(lambda before=before: page.arrived > before, seconds=30, what="keys reach the machine")
        await asyncio.sleep(random.uniform(0, 0.3))
        here.up.kill()
        await page.close()
        await here.start()
        await page.open(resume=True)
    typing.cancel()
    await asyncio.gather(typing, return_exceptions=True)
    await page.type("\x04")
    await page.see("fini\r\n", seconds=30)
    count = bytes(page.typed).count(b"key-")
    expected = [f"key-{number}" for number in range(count)]
    print(f"{count} lines typed across {KILLS} kills, {len(page.typed)} bytes")
    assert file.read_text().split() == expected
    for text in (bytes(page.output).decode(), here.recorded().decode()):
        assert re.findall(r"key-\d+", text) == expected
    await page.close()


async def type_for_ever(page) -> None:
    number = 0
    while True:
        await page.type(f"key-{number}\r")
        number += 1
        await asyncio.sleep(0.01)


async def test_a_job_that_a_killed_worker_had_begun_is_taken_up(here):
    """As the kill leaves it: begun, by a worker that is gone. No task has this name, so taking it up fails it."""
    (job,) = here.ask(
        "INSERT INTO procrastinate_jobs (task_name, queue_name, args, status)"
        " VALUES ('nobody.knows.it', 'default', '{}', 'doing') RETURNING id"
    )
    await until(lambda: here.ask("SELECT status FROM procrastinate_jobs WHERE id = %s", job[0]) == [("failed",)])


def shells(output: bytearray) -> set[bytes]:
    return set(re.findall(rb"shell-(\d+)-", bytes(output)))


async def test_everything_acknowledged_is_there_after_many_kills(here):
    """Messages, notes and tickets are posted without a pause while the server is killed again and again."""
    run = await begin(here, "/tmp/never-executed")
    kept: dict[str, list[str]] = {"message": [], "note": [], "ticket": []}
    posting = [asyncio.create_task(post_for_ever(here, run, kind, kept[kind])) for kind in kept]
    try:
        for number in range(KILLS):
            await enough(kept, number + 1)
            await asyncio.sleep(random.uniform(0, 0.3))
            await here.restart()
        await enough(kept, KILLS + 1)
    finally:
        for task in posting:
            task.cancel()
        await asyncio.gather(*posting, return_exceptions=True)
    there = {
        "message": [body for (body,) in here.ask("SELECT body FROM ticket_messages WHERE ticket_id = %s", here.ticket)],
        "note": [body for (body,) in here.ask("SELECT body FROM run_evidence")],
        "ticket": [title for (title,) in here.ask("SELECT title FROM tickets")],
    }
    print({kind: f"{len(acknowledged)} acknowledged" for kind, acknowledged in kept.items()}, KILLS, "kills")
    for kind, acknowledged in kept.items():
        assert set(acknowledged) - set(there[kind]) == set(), kind
        if kind != "note":  # sent again with their request key, they are kept once
            assert len(there[kind]) == len(set(there[kind])), kind
    assert await here.audit_is_whole()


async def enough(kept: dict[str, list[str]], more: int) -> None:
    """Some of each kind were acknowledged since the last kill; of notes, as long as the run takes any."""
    wanted = {kind: len(acknowledged) + 2 for kind, acknowledged in kept.items()}
    targets = {kind: count for kind, count in wanted.items() if kind != "note" or count < NOTES}
    await until(lambda: all(len(kept[kind]) >= target for kind, target in targets.items()), seconds=60, what=str(more))


async def post_for_ever(here: World, run: str, kind: str, acknowledged: list[str]) -> None:
    number = 0
    while kind != "note" or number < NOTES:
        number += 1
        body, key = f"{kind} {number}.", str(uuid.uuid4())
        while not await post_once(here, run, kind, body, key):
            await asyncio.sleep(0.05)
        acknowledged.append(body)


async def post_once(here: World, run: str, kind: str, body: str, key: str) -> bool:
    path, form = {
        "message": (f"/tickets/{here.ticket}/messages", {"body": body, "request_key": key}),
        "note": (f"{run}/notes", {"body": body}),
        "ticket": (
            "/tickets/new",
            {
                "client_id": here.client_id, "title": body, "request_key": key,
                "symptom": body, "impact": "low", "urgency": "low",
            },
        ),
    }[kind]  # fmt: skip
    with suppress(httpx.TransportError):
        answer = await here.alice.post(path, data=form)
        assert answer.status_code in {303, 503}, answer.text
        return answer.status_code == 303
    return False

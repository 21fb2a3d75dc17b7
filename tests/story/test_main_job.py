"""The main job, whole: a client phones, the procedure is followed on their machine, an expert joins, the text improves.

Three people in three browsers, a real server and PostgreSQL, a real agent in a disposable machine with a person at its
terminal who is asked. Cutting any link fails it (docs/reliability.md lists the cuts that were tried).
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect
from story_parts import Browsers, ClientMachine, Person
from wired_fixtures import PASSWORD, Cast, RunningServer

pytestmark = pytest.mark.browser


@pytest.mark.timeout(240)
async def test_the_main_job(server: RunningServer, cast: Cast, machine: ClientMachine, browsers: Browsers) -> None:
    alice = await browsers.sign_in(cast.alice)
    bruno = await browsers.sign_in(cast.bruno)

    ticket = await take_the_call(alice, machine)
    run = await follow_until_stuck(alice, machine)
    session = await open_a_terminal(alice, machine, ticket)
    await call_the_expert(alice, run)
    await expert_joins(bruno, alice, session)
    await finish_the_run(alice, machine, run)
    await the_drift_is_gone(alice, machine)
    draft = await close_with_a_deviation(alice, ticket)
    await the_recording_jumps_to_a_step(alice, session)
    await review_and_publish(browsers, cast, draft)
    await the_next_one_gets_the_new_version(alice)
    await everything_is_written_down(server, session)


async def take_the_call(alice: Person, machine: ClientMachine) -> str:
    """The number finds the client and their machine with its health; the symptom finds the procedure, and says why."""
    page = alice.page
    await alice.goes("/tickets/new")
    await page.get_by_label("Number or name").press_sequentially("0261910001", delay=10)
    await page.locator("#callers button", has_text="Menuiserie Le Goff").click()
    await page.locator(".machine-option", has_text="Poste accueil").click()
    await expect(page.locator(".machine-option", has_text="Poste accueil")).to_contain_text("fail")
    await page.get_by_label("In the caller's words").press_sequentially("rien ne s'imprime depuis ce matin", delay=5)
    first = page.locator("#suggestions .likely li").first
    await expect(first).to_contain_text("Débloquer la file d'impression")
    await expect(first.locator(".hit-why")).to_contain_text("Le service d'impression fonctionne")
    await first.get_by_role("button", name="Open and start").click()
    await page.wait_for_url(re.compile(r"/procedures/imp-002/start"))
    found = re.search(r"ticket=(\d+)", page.url)
    assert found
    return found.group(1)


async def follow_until_stuck(alice: Person, machine: ClientMachine) -> str:
    """Step 1 is attested; step 2 is looked at, executed after the client's yes, and verified; step 3 fails twice."""
    page = alice.page
    await alice.clicks("Begin")
    await page.wait_for_url(re.compile(r"/runs/\d+"))
    run = page.url.rsplit("/", 1)[1]
    step = page.locator("#current-step .run-title")
    await expect(step).to_contain_text("s1")
    await page.locator("[data-note]").fill("Un point rouge, trois documents.")
    await alice.clicks("Keep the note")
    await alice.clicks("Done")
    await expect(step).to_contain_text("s2")
    await alice.clicks("Execute on the machine")
    question = await machine.asked(about="Débloquer la file d'impression")
    assert "Alice Martin" in question
    machine.answer("y")
    await expect(step).to_contain_text("s3", timeout=20_000)
    await alice.clicks("Failed")  # the procedure leads back to s2, once
    await expect(step).to_contain_text("s2")
    await alice.clicks("Is it already true?")
    await alice.clicks("Already true: go on")
    await expect(step).to_contain_text("s3", timeout=20_000)
    await alice.clicks("Failed")
    await alice.sees("This step failed.")
    return run


async def open_a_terminal(alice: Person, machine: ClientMachine, ticket: str) -> str:
    """Bound to the ticket and a reason; open only after a yes on the client's side, where the same code is shown."""
    page = alice.page
    await alice.goes(f"/tickets/{ticket}")
    await page.get_by_label("Reason, shown to the client").fill("Voir le journal de CUPS")
    await alice.page.locator("button[name=capability][value=terminal]").click()
    await page.wait_for_url(re.compile(r"/sessions/[0-9a-f]{32}"))
    code = (await page.locator(".spoken-code").inner_text()).strip()
    question = await machine.asked(about="Voir le journal de CUPS")
    assert code in question
    machine.answer("y")
    await expect(page.locator("#link-state")).to_have_text("Connected", timeout=20_000)
    await page.locator("#terminal textarea").press_sequentially("echo from-$((40+2))-alice\n")
    await expect(page.locator(".xterm-rows")).to_contain_text("from-42-alice")
    return page.url.rsplit("/", 1)[1]


async def call_the_expert(alice: Person, run: str) -> None:
    await alice.goes(f"/runs/{run}")
    await alice.clicks("Call an expert", role="link")
    await expect(alice.page.locator("#candidates")).to_contain_text("Bruno Leroy")
    await alice.page.get_by_label("Where are you stuck?").fill("Le service ne redémarre pas.")
    await alice.page.get_by_role("button", name="Call", exact=True).click()
    await alice.sees("Experts called")


async def expert_joins(bruno: Person, alice: Person, session: str) -> None:
    """Bruno's dashboard shows the call by itself; accepting lands in the live terminal, with what was done in front."""
    page = bruno.page
    await alice.goes(f"/sessions/{session}")
    await expect(alice.page.locator("#driver-state")).to_contain_text("You have the keyboard")
    await bruno.sees("Alice Martin asks for your help")
    await bruno.clicks("Accept and join")
    await page.wait_for_url(re.compile(session))
    await expect(page.locator(".xterm-rows")).to_contain_text("from-42-alice", timeout=20_000)
    await expect(page.locator("#people")).to_contain_text("Bruno Leroy")
    await expect(page.locator("#driver-state")).to_contain_text("Reading only")
    await page.locator("#ask-keyboard").click()
    await alice.page.locator("[data-hand-over]").first.click()
    await expect(page.locator("#driver-state")).to_contain_text("You have the keyboard")
    await page.locator("#terminal textarea").press_sequentially("service cups restart; echo by-$((6*7))-bruno\n")
    await expect(alice.page.locator(".xterm-rows")).to_contain_text("by-42-bruno", timeout=20_000)


async def finish_the_run(alice: Person, machine: ClientMachine, run: str) -> None:
    """What the expert repaired is verified by the agent; what is executed is verified without being asked."""
    page = alice.page
    await alice.goes(f"/runs/{run}")
    step = page.locator("#current-step .run-title")
    await page.locator("[data-note]").fill("by-42-bruno: cups relancé dans le terminal")
    await alice.clicks("Keep as output")
    await alice.sees("by-42-bruno")
    await alice.clicks("Done: verify it")
    await expect(step).to_contain_text("s4", timeout=20_000)
    await alice.clicks("Execute on the machine")
    await expect(step).to_contain_text("s5", timeout=20_000)
    await page.locator("[data-note]").fill("Une page nette.")
    await alice.clicks("Keep the note")
    await alice.sees("Une page nette.")
    await alice.clicks("Done")
    await alice.sees("All steps have been gone through.")


async def the_drift_is_gone(alice: Person, machine: ClientMachine) -> None:
    """The machine is compared with its environment again by itself; the page follows."""
    await alice.goes(f"/machines/{machine.machine_id}")
    await expect(alice.page.locator("main")).not_to_contain_text("Repair: imp-002", timeout=20_000)


async def close_with_a_deviation(alice: Person, ticket: str) -> str:
    """Closing looks at the machine, ends the terminal, and turns what was wrong into a proposed change."""
    page = alice.page
    await alice.goes(f"/tickets/{ticket}/close")
    await page.get_by_label("What was done").fill("File débloquée, service relancé.")
    await page.locator("input[name=verdict][value=wrong]").check()
    await page.get_by_label("What is wrong or missing in it").fill("Regarder le journal avant de relancer.")
    await page.get_by_label("Minutes to account").fill("25")
    await alice.clicks("Verify and close")
    await page.wait_for_url(re.compile(r"/reviews/\d+$"), timeout=30_000)
    draft = re.search(r"/reviews/(\d+)", page.url)
    assert draft
    await alice.sees("Regarder le journal avant de relancer.")
    await alice.clicks("Edit", role="link")
    text = page.locator("textarea[name=text]")
    before = await text.input_value()
    assert "### s3: Redémarrez le service d'impression" in before
    await text.fill(before.replace("### s3: Redémarrez le service", "### s3: Relancez le service"))
    await alice.clicks("Ask for review")
    await page.wait_for_url(re.compile(rf"/reviews/{draft.group(1)}$"))
    await alice.goes(f"/tickets/{ticket}")
    await alice.sees("Closed")
    return draft.group(1)


async def the_recording_jumps_to_a_step(alice: Person, session: str) -> None:
    """Closing has ended the terminal; its recording plays, knows the steps that were done meanwhile, and is whole."""
    page = alice.page
    await alice.goes(f"/recordings/{session}")
    await page.locator(".marker-list button", has_text="step s4").click()
    await expect(page.locator("#player .ap-term-text")).to_contain_text("by-42-bruno", timeout=20_000)
    await expect(page.locator("#transcript")).to_contain_text("from-42-alice")
    await alice.sees("sound,")


async def review_and_publish(browsers: Browsers, cast: Cast, draft: str) -> None:
    for reviewer in (cast.chloe, cast.david):
        person = await browsers.sign_in(reviewer)
        await person.goes("/reviews")
        await person.page.locator(f"a[href='/reviews/{draft}']").first.click()
        await person.sees("Relancez")
        await person.page.get_by_label("Your password").fill(PASSWORD)
        await person.page.get_by_role("button", name="Approve", exact=True).click()
    await person.clicks("Publish")
    await person.page.locator("dialog[open]").get_by_role("button", name="Yes, do it").click()
    await person.page.wait_for_url(re.compile(r"/procedures/imp-002"))


async def the_next_one_gets_the_new_version(alice: Person) -> None:
    await alice.goes("/search?q=imprimante bloquée")
    await alice.goes("/procedures/imp-002")
    await alice.sees("imp-002@2")
    await alice.sees("Relancez le service d'impression")


async def everything_is_written_down(server: RunningServer, session: str) -> None:
    from compagnon.audit import verify

    services = server.services
    async with services.kernel.db.connection() as conn:
        chain = await verify(conn)
        rows = await (await conn.execute("SELECT DISTINCT action FROM audit_log")).fetchall()
    assert chain.broken is None
    actions = {action for (action,) in rows}
    expected = {"ticket.opened", "run.started", "session.requested", "ticket.result_verified", "ticket.closed"}
    assert expected <= actions, sorted(actions)

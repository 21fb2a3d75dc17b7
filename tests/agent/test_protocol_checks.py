"""Checks, matchers, manifests and messages: what is well formed is kept, everything else is refused with a reason."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compagnon_agent.protocol import manifest as manifests
from compagnon_agent.protocol import messages
from compagnon_agent.protocol.agreements import Attendance, Proposal, Terms
from compagnon_agent.protocol.checks import (
    RESOURCES,
    Check,
    CheckError,
    CheckResult,
    Outcome,
    bind_checks,
    check_placeholders,
    expected_attributes,
    is_read_only,
    parse_checks,
    to_mapping,
)
from compagnon_agent.protocol.expectations import ExpectationError, check_regex, met, patterns_met
from compagnon_agent.protocol.manifest import Command, Manifest, ManifestStep, RunOn, Shell, digest, executes, prepare
from compagnon_agent.protocol.messages import decode, encode
from compagnon_agent.protocol.parameters import Parameter, ParameterError, ParameterType
from compagnon_agent.protocol.releases import ReleaseState
from compagnon_agent.protocol.wire import WireError
from compagnon_agent.steps import fitting_results

GOSS = {
    "service": {"cups": {"running": True, "enabled": True}},
    "mount": {"/": {"usage": {"lt": 90}, "opts": ["rw"]}},
    "file": {"/etc/hosts": {"mode": "0644", "contains": ["localhost", "!/^#bad/"]}},
    "command": {"lpstat -r": {"exit-status": 0, "stdout": ["running"], "timeout": 5000}},
    "port": {22: {"listening": True}},
    "os": {"debian": {"version": {"ge": 12}}},
    "http": {"http://localhost:631/": {"status": 200}},
    "kernel-param": {"net.ipv4.ip_forward": {"value": "0"}},
}


def test_gosses_form_goes_in_and_out():
    checks = parse_checks(GOSS)
    assert [check.resource for check in checks] == list(GOSS)
    assert parse_checks(to_mapping(checks)) == checks
    assert checks[4].key == "22"
    assert [is_read_only(check) for check in checks] == [check.resource != "command" for check in checks]
    assert expected_attributes(checks[3]) == {"exit-status": 0, "stdout": ["running"]}
    assert expected_attributes(parse_checks({"package": {"cups": None}})[0]) == {"installed": True}


@pytest.mark.parametrize(
    ("mapping", "path", "said"),
    [
        ({"servce": {"cups": {}}}, "servce", "not a resource"),
        ({"service": {"cups": {"runing": True}}}, "service.cups", "not an attribute"),
        ({"service": {"cups": {"running": "yes"}}}, "service.cups.running", "true or false"),
        ({"service": {"-x": {}}}, "service.-x", "key must be"),
        ({"service": {"a/../b": {}}}, "service.a/../b", "key must be"),
        ({"mount": {"/": {"usage": {"under": 9}}}}, "mount./.usage", "not a matcher"),
        ({"file": {"relatif": {}}}, "file.relatif", "key must be"),
        ({"file": {"/x": {"contents": ["/(a+)+$/"]}}}, "file./x.contents", "repetition"),
        ({"file": {"/x": {"contents": ["/(/"]}}}, "file./x.contents", "regular expression"),
        ({"http": {"file:///etc/shadow": {}}}, "http.file:///etc/shadow", "key must be"),
        ({"http": {"http://x/": {"method": "POST"}}}, "http.http://x/.method", "GET or HEAD"),
        ({"addr": {"tcp://h:1": {"timeout": {"lt": 5}}}}, "addr.tcp://h:1.timeout", "plain value"),
        ({"addr": {"tcp://h:1": {"timeout": 10**9}}}, "addr.tcp://h:1.timeout", "between"),
        ({"port": {"22": {"ip": {"and": []}}}}, "port.22.ip", "1 to 10"),
        ({"service": ["cups"]}, "service", "must be"),
        ("service", "check", "must be"),
        ({"file": {f"/{number}": {} for number in range(101)}}, "file", "more than 100"),
    ],
)
def test_mistakes_are_named(mapping, path, said):
    with pytest.raises(CheckError) as caught:
        parse_checks(mapping)
    assert caught.value.path == path
    assert said in caught.value.reason


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.dictionaries(st.text(), inner))
)
def test_any_mapping_is_parsed_or_refused(value):
    try:
        checks = parse_checks(value)
    except CheckError:
        return
    assert parse_checks(to_mapping(checks)) is not None


def test_parameters_are_bound_typed():
    checks = parse_checks(
        {
            "command": {"ping -c 1 {{ip}}": {"exit-status": 0}},
            "addr": {"tcp://{{ip}}:{{port}}": {"reachable": True}},
            "mount": {"{{path}}": {"usage": {"lt": "{{limit}}"}}},
            "file": {"/etc/cups.conf": {"contains": ["Listen {{ip}}"]}},
        }
    )
    assert check_placeholders(checks) == ("ip", "port", "path", "limit")
    values = {"ip": "10.0.0.9", "port": "9100", "path": "/srv/d'un", "limit": "80"}
    command, addr, mount, file = bind_checks(checks, values)
    assert command.key == "ping -c 1 '10.0.0.9'"
    assert addr.key == "tcp://10.0.0.9:9100"
    assert (mount.key, mount.attributes) == ("/srv/d'un", {"usage": {"lt": 80}})
    assert file.attributes == {"contains": ["Listen 10.0.0.9"]}
    with pytest.raises(ParameterError):
        bind_checks(checks, {"ip": "x"})
    with pytest.raises(CheckError):
        bind_checks(parse_checks({"service": {"{{name}}": {}}}), {"name": "../../evil"})


@pytest.mark.parametrize(
    ("expected", "observed", "result"),
    [
        (True, True, True),
        (True, 1, False),
        (0, False, False),
        ("0644", "0644", True),
        (12, "12", True),
        ({"lt": 90}, 89, True),
        ({"lt": 90}, 90, False),
        ({"ge": 12}, "12.4", True),
        ({"ge": "12.10"}, "12.9", False),
        ({"lt": 5}, None, False),
        ({"and": [{"gt": 1}, {"lt": 3}]}, 2, True),
        ({"or": [1, 3]}, 2, False),
        ({"not": "a"}, "b", True),
        (["a"], ["b", "a"], True),
        (["a", "c"], ["b", "a"], False),
        (["!c"], ["a"], True),
        ({"consist-of": ["a", "b"]}, ["b", "a"], True),
        ({"consist-of": ["a"]}, ["b", "a"], False),
        ({"contain-element": "a"}, ["a"], True),
        ({"contain": "ell"}, "hello", True),
        ({"have-prefix": "he"}, "hello", True),
        ({"match": "^h.*o$"}, "hello", True),
        ({"have-len": {"ge": 2}}, ["a", "b"], True),
    ],
)
def test_matchers(expected, observed, result):
    assert met(expected, observed) is result


@pytest.mark.parametrize(
    ("expected", "result"),
    [
        (["second"], True),
        (["/^second line$/"], True),
        (["/^line/"], False),
        (["!absent", "first"], True),
        (["!first"], False),
        ("first", True),
        ({"contain": "second"}, True),
        ({"match": "^se"}, True),
        ({"not": ["first"]}, False),
        ({"or": [["x"], ["first"]]}, True),
        ({"equal": "first line\nsecond line"}, True),
    ],
)
def test_text_patterns(expected, result):
    assert patterns_met(expected, ["first line", "second line"]) is result


def test_regular_expressions_that_explode_are_refused():
    for pattern in ("(a+)+", "(a|a)*$", "((ab)*c)*", "(.*a){20}", r"(\w+\s?)*$", r"(a)\1", "(?=a)", "a" * 201, "("):
        with pytest.raises(ExpectationError):
            check_regex(pattern)
    for pattern in (r"^\s*PermitRootLogin\s+no\s*$", "(a|b)", "[a-z]+[(+]*", "(?:ab)c+", r"\(a+\)+"):
        check_regex(pattern)


def test_every_resource_has_an_example_that_its_own_pattern_accepts():
    for name, resource in RESOURCES.items():
        assert parse_checks({name: {resource.example: {}}})


def manifest(**fields) -> Manifest:
    step = ManifestStep(
        id="s1",
        title="Vérifiez",
        commands=(Command(shell=Shell.SH, script="ping {{ip}}"),),
        checks=parse_checks({"command": {"ping -c 2 {{ip}}": {"exit-status": 0}}}),
    )
    given = {
        "procedure": "imp-001",
        "version": 3,
        "title": "Installer une imprimante",
        "parameters": (Parameter(name="ip", type=ParameterType.IPV4),),
        "steps": (step,),
        "result": parse_checks({"service": {"cups": {"running": True}}}),
    }
    return Manifest(**{**given, **fields})


def test_a_manifests_digest_is_its_canonical_json():
    one = manifest()
    assert manifests.from_json(manifests.to_json(one)) == one
    shuffled = json.dumps(dict(reversed(json.loads(manifests.to_json(one)).items())), indent=3)
    assert digest(manifests.from_json(shuffled)) == digest(one)
    changed = [
        manifest(title="x"),
        manifest(version=4),
        manifest(steps=()),
        manifest(result=()),
        manifest(parameters=()),
    ]
    assert len({digest(item) for item in (one, *changed)}) == 6


def test_a_step_is_prepared_from_validated_values():
    step = prepare(manifest(), "s1", {"ip": "1.2.3.4"})
    assert step.commands[0].script == "ping '1.2.3.4'"
    assert step.checks[0].key == "ping -c 2 '1.2.3.4'"
    assert prepare(manifest(), "result", {}).checks == manifest().result
    with pytest.raises(KeyError):
        prepare(manifest(), "s2", {})


def test_whether_a_manifest_executes_anything():
    by_hand = Command(shell=Shell.SH, script="x", run_on=RunOn.TECHNICIAN)
    looking = ManifestStep(id="s1", title="", commands=(by_hand,), checks=parse_checks({"os": {"linux": {}}}))
    assert not executes(manifest(steps=(looking,)))
    assert executes(manifest())


def test_manifests_are_bounded():
    twice = (ManifestStep(id="s1", title="a"), ManifestStep(id="s1", title="b"))
    with pytest.raises(WireError, match="same id"):
        manifests.from_json(manifests.to_json(manifest(steps=twice)))
    with pytest.raises(WireError, match="longer"):
        manifests.from_json("x" * (manifests.MAX_MANIFEST + 1))
    text = manifests.to_json(manifest())
    for old, new in (
        ('"timeout":60', '"timeout":0'),
        ('"shell":"sh"', '"shell":"zsh"'),
        ('"version":3', '"version":"3"'),
    ):
        with pytest.raises(WireError):
            manifests.from_json(text.replace(old, new))


def examples() -> list[messages.Message]:
    now = datetime.now(UTC)
    key, uid, session = bytes(32), str(uuid.uuid4()), "ab" * 16
    check = parse_checks({"os": {"linux": {}}})[0]
    result = CheckResult(check=check, outcome=Outcome.PASSED, observed={"id": "é"}, duration_ms=3)
    proposal = Proposal(client="Le Goff", version=1, terms=Terms(attendance=Attendance.ATTENDED))
    who = {"ticket_id": 1, "member_id": 2, "member_name": "Alice"}
    return [
        messages.Challenge(nonce=key, server_key=key),
        messages.Hello(machine_id=1, nonce=key, signature=bytes(64), version="1", capabilities=("checks",)),
        messages.Welcome(signature=bytes(64)),
        messages.Pending(signature=bytes(64)),
        messages.Revoked(signature=bytes(64), reason="x"),
        messages.Heartbeat(),
        messages.Queued(queue=uid, number=3, age=60, message={"v": 1, "type": "facts_request"}),
        messages.Kept(queue=uid, number=3),
        messages.Dropped(counts={"check_report": 2}),
        messages.AuditHead(head="0" * 64, number=3),
        messages.AuditQuery(number=3),
        messages.Wake(
            request_id=uid, reason="r", machine="Accueil", macs=("02:00:00:00:00:01",), networks=("192.0.2.0/24",),
            **who,
        ),
        messages.WakeAnswer(request_id=uid, packets=3),
        messages.AuditLine(number=3, hash="0" * 64),
        messages.WatchRequest(request_id=uid, session_id=session),
        messages.WatchLink(request_id=uid, address="https://compagnon.example/w#a", seconds=60),
        messages.Schedule(environment="poste", version=3, period=1800, checks=(check,)),
        messages.CheckNow(request_id=uid),
        messages.CheckReport(
            schedule="0" * 64,
            full=True,
            findings=(messages.Finding(index=0, outcome=Outcome.FAILED, observed={"id": "é"}, reason="x"),),
            request_ids=(uid,),
        ),
        messages.Checked(schedule="0" * 64),
        messages.Successor(key=key, signature=bytes(64)),
        messages.KeyChange(key=key, old_signature=bytes(64), new_signature=bytes(64)),
        messages.KeyChanged(key=key),
        messages.ReleaseQuery(counter=3),
        messages.ReleaseOffer(manifest="{}", signature=bytes(64)),
        messages.ReleaseReport(counter=3, state=ReleaseState.REFUSED, reason="x"),
        messages.PolicyProposal(request_id=uid, proposal=proposal, member_id=2, member_name="Alice", short_code="4821"),
        messages.PolicyAnswer(request_id=uid, accepted=True, source=messages.ConsentSource.DIALOG),
        messages.WatchLoad(),
        messages.Load(at=now, cpu=10, memory=20),
        messages.Facts(collected=now, facts={"os": {"name": "Debian"}}),
        messages.FactsRequest(),
        messages.Policy(mode="attended", sheet=("service",)),
        messages.Problem(about="x", reason="y"),
        messages.CheckRequest(request_id=uid, checks=(check,), parameters={"a": "b"}),
        messages.CheckResults(request_id=uid, results=(result,)),
        messages.ConsentRequest(
            request_id=uid, kind=messages.ConsentKind.PROCEDURE, ticket_title="t", reason="r", short_code="1234",
            manifest=manifest(), **who,
        ),
        messages.ConsentAnswer(request_id=uid, granted=True, source=messages.ConsentSource.DIALOG, until=now),
        messages.ConsentWithdrawn(session_id=session),
        messages.Cancel(id=uid),
        messages.Execute(
            attempt_id=uid, run_id=1, manifest=manifest(), step_id="s1", parameters={"ip": "1.2.3.4"},
            phase=messages.Phase.EXECUTE, **who,
        ),
        messages.StepResult(attempt_id=uid, state=messages.StepState.DONE, started=now, ended=now, checks=(result,)),
        messages.StepAck(attempt_id=uid),
        messages.OpenSession(session_id=session, reason="r", **who),
        messages.SessionRefused(session_id=session, reason="r"),
        messages.SessionEnded(session_id=session, reason=messages.EndReason.EXIT, exit_code=-9),
    ]  # fmt: skip


def test_every_message_survives_the_wire():
    sent = examples()
    assert {type(item) for item in sent} == set(messages.TYPES.values())
    for item in sent:
        assert decode(encode(item)) == item


def test_every_field_is_required_or_has_a_default_and_is_typed():
    for item in examples():
        body = json.loads(encode(item))
        for name in set(body) - {"v", "type"}:
            for bad in ({"un": "objet"}, 1.5, [[[]]]):
                if body[name] == bad or (
                    name in {"facts", "parameters", "manifest", "message"} and isinstance(bad, dict)
                ):
                    continue
                with pytest.raises(WireError, match=name):
                    decode(json.dumps({**body, name: bad}))


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_a_message_or_refused(source):
    with pytest.raises(WireError):
        decode(source)


def test_hostile_json():
    for source in (
        "[" * 200_000,
        '{"v":1,"type":"cancel","id":"' + "x" * 300_000 + '"}',
        '{"v":1,"type":"facts","collected":"2026-01-01T00:00:00Z","facts":{"a":NaN}}',
        '{"v":1,"type":"facts","collected":"2026-01-01T00:00:00Z","facts":{"a":1e999}}',
        '{"v":1,"type":"facts","collected":"2026-01-01T00:00:00","facts":{}}',
        '{"v":1,"type":"facts","collected":"0001-01-01T00:00:00+14:00","facts":{}}',
        '{"v":1,"type":"facts","collected":"2026-01-01T00:00:00Z","facts":{"a":' + "[" * 20 + "]" * 20 + "}}",
        '{"v":1,"type":"hello","machine_id":' + "9" * 5000 + "}",
        '{"v":true,"type":"cancel","id":"12345678"}',
        '{"type":"cancel","id":"12345678"}',
    ):
        with pytest.raises(WireError):
            decode(source)
    assert decode('{"v":1,"type":"later","x":[]}') == messages.Unknown(name="later")
    cleaned = decode('{"v":1,"type":"problem","about":"a\\u0000b","reason":"\\ud800"}')
    assert cleaned == messages.Problem(about="a\ufffdb", reason="?")


def test_a_message_that_would_be_too_long_is_not_sent():
    check = Check(resource="file", key="/x", attributes={})
    result = CheckResult(check=check, outcome=Outcome.ERROR, observed={"a": "x" * 4000}, reason="")
    too_long = messages.CheckResults(request_id=str(uuid.uuid4()), results=(result,) * 100)
    with pytest.raises(WireError, match="longer"):
        encode(too_long)
    fitting = fitting_results(too_long)
    assert [item.check for item in fitting.results] == [check] * 100
    encode(fitting)

"""parse(render(p)) == p, and reading never raises, whatever the text."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compagnon_agent.protocol.parameters import Parameter, ParameterType
from procedures.format import FormatError, digest, lint, parse, read, render
from procedures.format.duration import Duration
from procedures.format.html import block_html
from procedures.format.model import (
    CheckSpec,
    Code,
    Conformity,
    Desktop,
    DesktopIcon,
    Ending,
    Evidence,
    Importance,
    Menu,
    Note,
    NoteKind,
    OnFail,
    Panel,
    PanelItem,
    Procedure,
    Result,
    Risk,
    Rollback,
    RunOn,
    Step,
    Text,
    Type,
)

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "reference" / "procedure-format.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"````markdown\n(.*?)````", DOCS, re.DOTALL)
STARTERS = [path.read_text(encoding="utf-8") for path in sorted(ROOT.glob("procedures/starter/*/*.md"))]
TEXTS = [*EXAMPLES, *STARTERS]

FRONT = "---\nid: imp-001\ntype: install\ntitle: Essai\nlocale: fr\n---\n"


def assert_round_trip(procedure: Procedure) -> None:
    text = render(procedure)
    assert parse(text) == procedure, text
    assert render(parse(text)) == text


@pytest.mark.parametrize("text", TEXTS)
def test_the_library_round_trips(text):
    assert_round_trip(parse(text))


def test_there_are_texts_to_try():
    assert len(EXAMPLES) == 2


# --- procedures built from parts ------------------------------------------------------------------------------------

codes = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,4}){0,2}", fullmatch=True)
awkward = st.sampled_from(list("abzé0 -—:#{}[]()*_`'\"\\|<>&!?.,;~$%@/\u00a0«»œ😀"))
lines = (
    st.text(
        awkward | st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs", "Cf"]),
        max_size=40,
    )
    .map(lambda text: re.sub(r"[ \t]+", " ", text).strip())
    .filter(lambda text: text and not re.search(r"[\x7f-\x9f]", text))
)
titles = lines.map(lambda text: re.sub(r"[#{}]", "", text).strip() or "Titre").filter(lambda text: len(text) <= 200)
keys = lines.filter(lambda text: len(text) <= 40)
scalars = (
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.floats(-1e6, 1e6).map(lambda x: round(x, 6)) | lines
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=8
)
specs = st.dictionaries(keys, values, min_size=1, max_size=3).map(lambda spec: CheckSpec(spec=spec))
scripts = st.lists(st.text(awkward, max_size=20), max_size=4).map("\n".join)
languages = st.sampled_from(["", "sh", "powershell", "cmd", "text", "c++"])
fences = st.builds(
    Code,
    language=languages,
    script=scripts,
    run_on=st.sampled_from(RunOn),
    timeout=st.none() | st.integers(0, 10**6),
    unknown=st.sampled_from([(), (("name", "x"),), (("a", "1"), ("b", "2"))]),
)
MARKDOWN = [
    "Une phrase.",
    "Deux lignes\nde suite.",
    "* un\n* deux",
    "1. un\n2. deux",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "![Un voyant](media/voyant.png)",
    "> une citation\n>\n> deux",
    "#### titre",
    "---",
    "    code",
    "* un\n\n  ```sh\n  ls\n  ```",
    "[lien](procedure:imp-002)",
]
bodies = st.lists(
    st.sampled_from(MARKDOWN).map(lambda text: Text(markdown=text))
    | fences
    | st.builds(Note, kind=st.sampled_from(NoteKind), markdown=st.sampled_from(["", *MARKDOWN, "a\n\nb"])),
    max_size=4,
).filter(lambda blocks: not _merge(blocks))


def _merge(blocks) -> bool:
    """Two neighbours that Markdown itself reads as one block (a list continued by indented text, or by itself)."""
    texts = [block.markdown if isinstance(block, Text) else None for block in blocks]
    kinds = [text and ("*" if text.startswith("*") else "1" if text.startswith("1.") else text) for text in texts]
    return any(first in ("*", "1", "    code") and second in (first, "    code") for first, second in pairwise(kinds))


def tuples(strategy, **limits):
    return st.lists(strategy, **limits).map(tuple)


endings = st.builds(Ending, procedure=codes, escalate=st.none() | codes) | st.builds(Ending, escalate=codes)
on_fails = st.builds(OnFail, goto=codes, max=st.integers(-5, 99), then=st.none() | endings) | st.builds(
    OnFail, then=endings
)
rollbacks = st.builds(Rollback, text=lines, commands=tuples(fences, max_size=2)) | st.builds(
    Rollback, text=st.just(""), commands=tuples(fences, min_size=1, max_size=2)
)
maybe = st.none() | lines
steps = st.builds(
    Step,
    id=codes,
    title=titles,
    importance=st.none() | st.sampled_from(Importance),
    body=bodies.map(tuple),
    info=maybe,
    phone=maybe,
    show=st.none() | codes,
    stepresult=maybe,
    checks=tuples(specs, max_size=2),
    on_fail=st.none() | on_fails,
    evidence=st.sampled_from(Evidence),
    rollback=st.none() | rollbacks,
)
items = st.builds(
    Conformity,
    id=codes,
    label=titles,
    checks=tuples(specs, max_size=2),
    repair=st.none() | codes,
    info=maybe,
    body=bodies.map(tuple),
)
icons = st.none() | codes
menus = st.recursive(
    st.builds(Menu, id=codes, label=lines, icon=icons, opens=st.none() | codes),
    lambda inner: st.builds(Menu, id=codes, label=lines, items=tuples(inner, max_size=2)),
    max_leaves=3,
).filter(lambda menu: _depth(menu) <= 3)


def _depth(menu: Menu) -> int:
    return 1 + max(map(_depth, menu.items), default=0)


desktops = st.builds(
    Desktop,
    panel=st.none()
    | st.builds(
        Panel,
        position=st.sampled_from(["top", "bottom", "left", "right"]),
        items=tuples(
            st.builds(PanelItem, id=codes, label=lines, icon=icons, zone=st.sampled_from(["start", "center", "end"])),
            max_size=3,
        ),
    ),
    icons=tuples(
        st.builds(DesktopIcon, id=codes, label=lines, icon=icons, column=st.integers(1, 32), row=st.integers(1, 32)),
        max_size=3,
    ),
    menus=tuples(menus, max_size=2),
)
durations = st.sampled_from(["PT10M", "PT1H30M", "P6M", "P1Y2M10DT2H30M5S", "P2W"]).map(Duration.parse)
parameters = st.lists(
    st.builds(
        Parameter,
        name=st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True),
        type=st.sampled_from(ParameterType),
        required=st.booleans(),
        default=maybe,
        label=lines,
        choices=tuples(lines, max_size=2),
        minimum=st.none() | st.integers(-(2**53), 2**53),
        maximum=st.none() | st.integers(-(2**53), 2**53),
    ),
    max_size=3,
    unique_by=lambda parameter: parameter.name,
).map(tuple)
procedures = st.builds(
    Procedure,
    id=codes,
    type=st.sampled_from(Type),
    title=lines,
    locale=st.sampled_from(["fr", "en"]),
    applies_to=tuples(codes, max_size=2),
    esttime=st.none() | durations,
    perskill=tuples(codes, max_size=2),
    reqconds=tuples(lines, max_size=2),
    parameters=parameters,
    risk=st.none() | st.sampled_from(Risk),
    review_every=st.none() | durations,
    context=bodies.map(tuple),
    steps=tuples(steps, max_size=3),
    result=st.builds(Result, body=bodies.map(tuple), checks=tuples(specs, max_size=2)),
    after=bodies.map(tuple),
    conformity=tuples(items, max_size=2),
    desktop=st.none() | desktops,
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(procedures)
def test_every_procedure_survives_being_written_and_read(procedure):
    assert_round_trip(procedure)


# --- any text -------------------------------------------------------------------------------------------------------


def assert_harmless(text: str) -> None:
    draft = read(text)
    for finding in lint(text):
        assert finding.line >= 1
        assert finding.column >= 1
        finding.message.format(**finding.params)
        finding.mend.format(**finding.params)
    if draft.problems:
        with pytest.raises(FormatError):
            parse(text)
        return
    assert_round_trip(draft.procedure)
    for step in draft.procedure.steps:
        for block in step.body:
            block_html(block)


FRAGMENTS = [
    "---", "## Étapes", "## Résultat", "## Inconnue", "### s1: Ouvrez le menu {importance=required}",
    "### s2: Fermez #", "# x",
    "- info: texte", "- check: {service: {cups: {running: true}}}", "- check:", "    service:",
    "- on_fail: {goto: s1}", "- rollback: x",
    "", "", "", "  ```sh {run_on=agent}", "```", "~~~", "```sh {timeout=5}", "  ls", "> [!NOTE]", "> [!TIP] court",
    "> a", ">", "* a", "- a",
    "1. a", "    code", "\tcode", "| a |", "|---|", "[x]: http://y", "===", "texte  ", "texte\\", "<div>", "  suite",
    "- phone : « ça ? »",
    "-", "- ", "+ info: x", "- info:", "  - info: y", "![](x)", "{{ip}}", "### ", "##", "## Étapes ##",
    "### s3: a {importance=no}", "***",
    "- stepresult: a\n  b", "> - info: x", "- evidence: output", "- rollback:\n\n  ```sh\n  a\n\n  b\n  ```",
    "## Bureau", "```yaml",
    "## Conformité", "- repair: imp-002", "&amp;", "\u00a0", "- info: a\n\n  b", "  > x", "* a\n\n  b", "```a b",
    "    - info: x",
]  # fmt: skip


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("\n".join))
def test_fragments_in_any_order(text):
    assert_harmless(FRONT + text)
    assert_harmless(FRONT + "## Étapes\n### s1: Ouvrez le menu\n" + text)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text):
    assert_harmless(text)
    assert_harmless(FRONT + text)
    assert_harmless("---\n" + text + "\n---\n")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(TEXTS), st.data())
def test_damaged_procedures(text, data):
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 40)))
        text = (
            text[:start]
            + data.draw(st.sampled_from(["", "\n", "\n\n", "  ", "{", "}", "`", "- ", ": ", "#", ">", "\t"]))
            + text[end:]
        )
    assert_harmless(text)


# --- the identity of a version --------------------------------------------------------------------------------------


def test_layout_does_not_change_the_digest_and_words_do():
    text = EXAMPLES[0]
    spaced = text.replace("\n- info", "\n\n\n- info").replace(
        "{type: ipv4, required: true,", "{required: true,   type: ipv4,"
    )
    assert spaced != text
    assert digest(spaced) == digest(text) == digest(parse(text))
    assert digest(text.replace("\n", "\r\n")) == digest(text)
    assert digest(text.replace("Deux réponses", "Trois réponses")) != digest(text)
    assert re.fullmatch(r"[0-9a-f]{64}", digest(text))


def test_the_digest_is_pinned():
    """Published versions are known by this number: it may never change for the same text."""
    text = (
        FRONT
        + "Contexte.\n\n## Étapes\n\n### s1: Ouvrez le menu {importance=required}\n\n"
        + "- stepresult: Le menu est ouvert.\n"
    )
    assert digest(text) == "d40d4ba1b3b417798a94fee6324f514018ac2d1be31a13a0eb5628e59e474033"

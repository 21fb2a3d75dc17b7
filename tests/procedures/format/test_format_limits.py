"""Hostile and huge texts: refused or read, quickly, never with an exception."""

import time

import pytest

from compagnon_agent.protocol.manifest import from_json, to_json
from procedures.format import FormatError, lint, manifest, parse, read, render
from procedures.format.yamls import MAX_DEPTH, YamlError, flow, load

HEAD = (
    "---\nid: imp-001\ntype: install\ntitle: Essai\nlocale: fr\nperskill: [reseau]\nrisk: low\n"
    "esttime: PT5M\nreview_every: P6M\n"
)
STEP = """### s{n}: Vérifiez le service numéro {n} {{importance=required}}

Ouvrez la fenêtre des services. Le *service* doit être [démarré](procedure:imp-002).

* première chose à `regarder`
* seconde chose

```sh {{run_on=agent timeout=30}}
systemctl status {{{{svc}}}}
```

- info: Un service arrêté empêche d'imprimer.
- phone: « Voyez-vous l'icône de l'imprimante à côté de l'heure ? »
- stepresult: Le service est démarré.
- check: {{service: {{"{{{{svc}}}}": {{running: true}}}}}}
- on_fail: {{goto: s{n}, max: 2, then: {{escalate: reseau}}}}
- rollback: Arrêtez le service.

"""


def long_procedure() -> str:
    steps = "".join(STEP.format(n=number) for number in range(1, 100))
    rest = "".join(f"Une phrase courte numéro {number} qui explique **bien** la chose.\n\n" for number in range(2300))
    parameters = "parameters:\n  svc: {type: service, label: Service}\n---\nContexte.\n\n"
    return f"{HEAD}{parameters}## Étapes\n\n{steps}## Résultat\n\nTout va.\n\n## Après l'intervention\n\n{rest}"


def best_of(times, action):
    found = []
    for _ in range(times):
        start = time.process_time()
        action()
        found.append(time.process_time() - start)
    return min(found)


def test_200_kb_are_read_judged_and_written_in_no_time():
    """About 150 ms; what grows with the square of the text would take minutes."""
    text = long_procedure()
    assert len(text.encode()) > 200_000

    def everything() -> None:
        procedure = parse(text)
        assert lint(procedure) == ()
        assert render(procedure)

    assert best_of(3, everything) < 2


def test_too_long_a_text_is_refused_unread():
    text = long_procedure() * 3
    assert len(text) > 400_000
    assert best_of(1, lambda: read(text)) < 0.5
    with pytest.raises(FormatError) as caught:
        parse(text)
    assert "size" in {problem.rule for problem in caught.value.problems}


HOSTILE = {
    "quotes": ">" * 20_000 + " a",
    "lists": "\n".join("  " * n + "* a" for n in range(600)),
    "brackets": "[" * 20_000,
    "links": "[a](" * 10_000,
    "pictures": "![" * 10_000,
    "stars": "*a " * 20_000,
    "underscores": "_" * 20_000 + "a" + "_" * 20_000,
    "backticks": "".join("`" * n + " " for n in range(400)),
    "entities": "&" * 50_000,
    "angles": "<" * 50_000,
    "autolinks": "<a:" * 20_000,
    "table": "|" * 5_000 + "\n" + "|-" * 5_000,
    "rows": "|a|\n|-|\n" + "|a|\n" * 20_000,
    "fences": "```\n" * 20_001,
    "headings": "## a\n" * 20_000,
    "steps": "## Étapes\n" + "### s1: Ouvrez\n" * 10_000,
    "fields": "## Étapes\n### s1: Ouvrez\n" + "- info: a\n" * 10_000,
    "checks": "## Étapes\n### s1: Ouvrez\n" + "- check: {a: {b: {c: 1}}}\n" * 5_000,
    "attributes": "## Étapes\n### s1: a {" + "a=b " * 20_000 + "}",
    "braces": "## Étapes\n### s1: " + "{" * 20_000,
    "spaces": "## Étapes\n### s1: a" + " " * 50_000 + "b",
    "hashes": "## Étapes\n### s1: a" + " #" * 20_000 + "b",
    "sentence": "a, " * 50_000,
    "dots": ". " * 50_000,
    "quotes and spaces": "a." + " »" * 20_000,
    "one line": "x" * 300_000,
    "placeholders": "{{ip}} " * 20_000,
    "rm": "## Étapes\n### s1: Ouvrez\n```sh\n" + "rm -r " * 10_000 + "\n```",
    "rm options": "## Étapes\n### s1: Ouvrez\n```sh\nrm " + "-r " * 10_000 + "\n```",
    "curl": "## Étapes\n### s1: Ouvrez\n```sh\n" + "curl x | " * 3_000 + "\n```",
    "curls": "## Étapes\n### s1: Ouvrez\n```sh\n" + "curl " * 8_000 + "\n```",
    "title": "## Étapes\n### s1: Sur " + "le poste, " * 10_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_cost_little(name):
    text = HEAD + "---\nContexte.\n\n" + HOSTILE[name]
    start = time.process_time()
    lint(text)
    assert time.process_time() - start < 15


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]\n"


@pytest.mark.parametrize(
    "yaml",
    [
        BOMB, "a: &a [*a]", "a: !!python/object/apply:os.system ['true']", "a: !!binary aGVsbG8=", "a: 1\na: 2",
        "a: {b: 1, b: 2}",
        "{a: 1}: 2", "[1, 2]: 3", "? {a: 1}\n: 2", "a: " + "[" * 50 + "]" * 50, "a: " + "{a: " * 50 + "1" + "}" * 50,
        "--- 1\n--- 2",
        "a: [", "a: {", "a: 'x", 'a: "\\q"', "a:\n\tb: 1", "%YAML 9.9\n---\na: 1", "a: b: c", "*a", "<<: *a",
        "x" * 300 + ": 1",
        "a: [" + "1, " * 6000 + "1]", "\x01", "a: |\n\x02",
    ],
)  # fmt: skip
def test_dangerous_yaml_is_refused_with_a_place(yaml):
    with pytest.raises(YamlError) as caught:
        load(yaml)
    assert caught.value.at.line >= 1
    text = f"---\nid: imp-001\ntype: install\ntitle: Essai\nlocale: fr\nx: 1\n{yaml}\n---\n"
    assert read(text).problems


def test_deep_but_allowed_yaml_is_read():
    depth = MAX_DEPTH - 1
    assert load("[" * depth + "1" + "]" * depth).value


@pytest.mark.parametrize(
    ("yaml", "value"),
    [
        ("no", "no"), ("on", "on"), ("12:30", "12:30"), ("0755", "0755"), ("1_000", "1_000"), ("1e3", "1e3"),
         (".5", ".5"), ("0x1f", "0x1f"),
        ("2024-06-01", "2024-06-01"), ("true", True), ("True", "True"), ("null", None), ("~", None), ("", None),
         ("12", 12), ("-3", -3),
        ("1.5", 1.5), ("'12'", "12"), ('"true"', "true"), ("{80: true}", {"80": True}), ("[a, 1]", ["a", 1]),
         ("=", "="), ("! 12", 12),
        ("9999999999999999999999", "9999999999999999999999"),
    ],
)  # fmt: skip
def test_plain_words_have_dull_types(yaml, value):
    assert load(yaml).value == value
    assert type(load(yaml).value) is type(value)
    assert load(flow(value)).value == value


def test_problems_have_places_and_the_rest_is_still_read():
    text = (
        HEAD
        + "---\nContexte.\n\n## Étapes\n\n### s1: Ouvrez {importance=required}\n\n- check: {a: [}\n\n### s2: Fermez\n"
    )
    draft = read(text)
    (problem,) = draft.problems
    assert (problem.line, problem.column, problem.step, problem.rule) == (
        text[: text.index("check: {a")].count("\n") + 1,
        15,
        "s1",
        "yaml",
    )
    assert [step.id for step in draft.procedure.steps] == ["s1", "s2"]
    assert {"importance", "stepresult"} <= {finding.rule for finding in lint(text)}


def test_the_first_misleading_character_is_named():
    (problem,) = read(HEAD + "---\nContexte.\n\nUn\u200bmot \u202e.\n").problems
    assert (problem.line, problem.column, problem.params["code"]) == (13, 3, "200B")


def test_the_manifest_is_what_the_protocol_reads():
    procedure = parse(long_procedure())
    made = manifest(procedure, 3)
    assert from_json(to_json(made)) == made
    assert (made.procedure, made.version, made.risk, len(made.steps)) == ("imp-001", 3, "low", 99)
    step = made.steps[0]
    assert [(command.shell, command.timeout, command.run_on) for command in step.commands] == [("sh", 30, "agent")]
    assert [(check.resource, check.key) for check in step.checks] == [("service", "{{svc}}")]


def test_the_manifest_leaves_out_what_is_only_shown():
    body = "## Étapes\n\n### s1: Lisez\n\n```ini\n[a]\n```\n\n```sh\nls\n```\n\n"
    body += "- rollback:\n\n  ```cmd {run_on=agent timeout=9}\n  dir\n  ```\n"
    step = manifest(parse(HEAD + "---\nContexte.\n\n" + body), 1).steps[0]
    assert [(command.shell, command.script, command.timeout, command.run_on) for command in step.commands] == [
        ("sh", "ls", 60, "technician")
    ]
    assert [(command.shell, command.script, command.timeout) for command in step.rollback] == [("cmd", "dir", 9)]

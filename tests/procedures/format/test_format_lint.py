"""Each rule fires on what it is for, at the right line, in both languages, and stays silent on a good procedure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from compagnon.i18n import Catalogues
from procedures.format import Known, Severity, lint, publishable
from procedures.format.lint import RULES

ROOT = Path(__file__).parents[3]
DOCS = (ROOT / "docs" / "reference" / "procedure-format.md").read_text(encoding="utf-8")

GOOD = """---
id: imp-001
type: repair
title: Relancer la file d'impression
locale: fr
applies_to: [poste-debian-12]
esttime: PT10M
perskill: [impression]
reqconds: ["L'imprimante est allumée."]
parameters:
  ip: {type: ipv4, required: true, label: "Adresse de l'imprimante"}
risk: low
review_every: P6M
---
Suivez cette procédure quand rien ne s'imprime.

## Étapes

### s1: Vérifiez que l'imprimante répond {importance=required}

![Le voyant vert](media/voyant.png)

```sh {run_on=agent timeout=30}
ping -c 2 {{ip}}
```

- stepresult: Deux réponses arrivent.
- check: {service: {cups: {running: true}}}
- on_fail: {goto: s1, max: 1, then: {procedure: net-003, escalate: reseau}}

### s2: Sur le poste, ouvrez la liste des imprimantes {importance=optional}

- phone: « Voyez-vous l'imprimante ? »
- rollback: Fermez la liste.

## Résultat

Le client imprime.

- check: {service: {cups: {running: true}}}

## Après l'intervention

Notez le modèle dans la [fiche](procedure:dir-001).
"""

ENVIRONMENT = """---
id: poste-debian-12
type: environment
title: Poste Debian 12
locale: fr
risk: low
review_every: P1Y
---
Le poste remis aux clients.

## Conformité

### cups: Le service d'impression fonctionne

- check: {service: {cups: {running: true}}}
- repair: imp-001

## Bureau

```yaml
panel:
  items:
    - {id: menu, label: Menu}
icons:
  - {id: corbeille, label: Corbeille, column: 1, row: 1}
menus:
  - {id: applications, label: Applications, opens: menu}
```
"""

# rule, what is replaced in the good procedure, by what, and the text of the line that must be named
CASES = [
    ("front-matter", "---\nid:", "id:", "id: imp-001"),
    ("yaml", "type: repair", "type: [repair", None),
    ("yaml", "risk: low", "risk: low\nrisk: high", "risk: high"),
    ("yaml", "risk: low", "risk: &a low", "risk: &a low"),
    ("metadata", "risk: low\n", "", None),
    ("metadata", "esttime: PT10M\n", "", None),
    ("metadata", "review_every: P6M\n", "", None),
    ("metadata", "esttime: PT10M", "esttime: dix minutes", "esttime: dix minutes"),
    ("metadata", "type: repair", "type: bricolage", "type: bricolage"),
    ("metadata", "locale: fr", "locale: de", "locale: de"),
    ("metadata", "risk: low", "risk: low\nauthor: moi", "author: moi"),
    ("metadata", "perskill: [impression]", "perskill: impression", "perskill: impression"),
    ("metadata", "id: imp-001", "id: Imp 1", "id: Imp 1"),
    ("section-known", "## Résultat", "## Bilan", "## Bilan"),
    ("section-known", "## Résultat", "## Result", "## Result"),
    ("section-known", "## Résultat", "## Conformité\n\n## Résultat", "## Conformité"),
    ("section-missing", "## Résultat\n\nLe client imprime.\n\n- check: {service: {cups: {running: true}}}\n", "",
     None),
    ("section-missing", "Suivez cette procédure quand rien ne s'imprime.\n", "", None),
    ("section", "## Résultat", "## Étapes\n\n## Résultat", None),
    ("section", "## Étapes\n", "## Étapes\n\nUn texte perdu.\n", "Un texte perdu."),
    ("indented", "Le client imprime.", "Le client imprime.\n\n    ### s9: Vérifiez", None),
    ("indented", "Le client imprime.", "Le client imprime.\n\n    - check: {}", None),
    ("heading-level", "Le client imprime.", "# Le client imprime.", "# Le client imprime."),
    ("step-heading", "### s1: V", "### V", "### Vérifiez que l'imprimante répond {importance=required}"),
    ("step-id", "### s2:", "### s1:", "### s1: Sur le poste, ouvrez la liste des imprimantes {importance=optional}"),
    ("step-id", "### s2:", "### result:",
     "### result: Sur le poste, ouvrez la liste des imprimantes {importance=optional}"),
    ("importance", " {importance=optional}", "", "### s2: Sur le poste, ouvrez la liste des imprimantes"),
    ("attributes", "importance=optional", "importance=peut-être", None),
    ("attributes", "importance=optional", "place=ici", None),
    ("stepresult", "importance=optional", "importance=required", None),
    ("imperative", "### s2: Sur le poste, ouvrez", "### s2: Ouverture de", None),
    ("imperative", "### s2: Sur le poste, ouvrez", "### s2: Sur le poste, la liste ouvre", None),
    ("one-action", "ouvrez la liste des imprimantes", "ouvrez la liste et cliquez sur l'imprimante", None),
    ("one-action", "- stepresult: Deux", "```sh {run_on=agent}\nls\n```\n\n- stepresult: Deux", None),
    ("sentence-length", "Deux réponses arrivent.", " ".join(["mot"] * 21) + ".",
     "- stepresult: " + " ".join(["mot"] * 21) + "."),
    ("goto", "goto: s1", "goto: s9", None),
    ("goto", "{goto: s1, max: 1, then", "{goto: s1, then", None),
    ("goto", "max: 1", "max: 99", None),
    ("goto", "goto: s1", "goto: s2", None),
    ("goto", "{goto: s1, max: 1,", "{max: 1,", None),
    ("failure-path", "procedure: net-003", "procedure: imp-001", None),
    ("on-fail", "then: {procedure: net-003, escalate: reseau}", "sinon: {escalate: reseau}", None),
    ("on-fail", "max: 1", "max: un", None),
    ("field", "- phone:", "- telephone:", None),
    ("field", "- phone: « Voyez-vous l'imprimante ? »", "- phone: a\n- phone: b", "- phone: b"),
    ("field", "- stepresult: Deux réponses arrivent.", "- stepresult:", "- stepresult:"),
    ("field", "- stepresult: Deux réponses arrivent.\n- check: {service: {cups: {running: true}}}\n- on",
     "- stepresult: Deux réponses arrivent.\n\nUn texte après.\n\n- on", None),
    ("check", "- check: {service: {cups: {running: true}}}\n- on",
     "- check: {servive: {cups: {running: true}}}\n- on", None),
    ("check", "- check: {service: {cups: {running: true}}}\n- on", "- check: {service: {cups: {run: true}}}\n- on",
     None),
    ("check", "- check: {service: {cups: {running: true}}}\n- on", "- check: [a]\n- on", None),
    ("fence", "timeout=30", "timeout=long", "```sh {run_on=agent timeout=long}"),
    ("fence", "run_on=agent", "run_on=robot", "```sh {run_on=robot timeout=30}"),
    ("fence", "Notez le modèle", "```sh\nNotez le modèle", "```sh"),
    ("fence-attribute", "timeout=30", "interactive=yes", "```sh {run_on=agent interactive=yes}"),
    ("fence-attribute", "Le client imprime.", "```sh {run_on=agent}\nls\n```", "```sh {run_on=agent}"),
    ("fence-language", "```sh {run_on", "```python {run_on", "```python {run_on=agent timeout=30}"),
    ("fence-size", "ping -c 2 {{ip}}\n", "", "```sh {run_on=agent timeout=30}"),
    ("timeout", "timeout=30", "timeout=7200", "```sh {run_on=agent timeout=7200}"),
    ("timeout", "timeout=30", "timeout=0", "```sh {run_on=agent timeout=0}"),
    ("dangerous", "ping -c 2 {{ip}}", "ping -c 2 {{ip}}; rm -rf /", None),
    ("parameter-declared", "ping -c 2 {{ip}}", "ping -c {{nombre}} {{ip}}", None),
    ("parameter-used", "ping -c 2 {{ip}}", "ping -c 2 192.0.2.1",
     '  ip: {type: ipv4, required: true, label: "Adresse de l\'imprimante"}'),
    ("parameter-valid", "required: true,", "required: true, default: imprimante,", None),
    ("parameter-valid", ', label: "Adresse de l\'imprimante"', "", None),
    ("parameter-valid", "type: ipv4", "type: choice", None),
    ("parameter-valid", "type: ipv4", "type: integer, minimum: 3, maximum: 2", None),
    ("placeholder", "ping -c 2 {{ip}}", 'ping -c 2 "{{ip}}"', 'ping -c 2 "{{ip}}"'),
    ("placeholder", "ping -c 2 {{ip}}", "ping -c 2 '{{ip}}'", "ping -c 2 '{{ip}}'"),
    ("placeholder", "ping -c 2 {{ip}}", "ping -c 2 {{ip}} # {{ip}}", None),
    ("placeholder", "ping -c 2 {{ip}}", "ping -c 2 {{ip}}\necho {{ IP }}", "echo {{ IP }}"),
    ("placeholder", "```sh {run_on", "```cmd {run_on", None),
    ("placeholder", "- check: {service: {cups: {running: true}}}\n- on",
     "- check: {command: {\"ping '{{ip}}'\": {exit-status: 0}}}\n- on", None),
    ("picture", "![Le voyant vert]", "![]", "![](media/voyant.png)"),
    ("picture", "media/voyant.png", "https://ailleurs.example/voyant.png",
     "![Le voyant vert](https://ailleurs.example/voyant.png)"),
    ("link", "procedure:dir-001", "javascript:alert(1)", "Notez le modèle dans la [fiche](javascript:alert(1))."),
    ("note", "Le client imprime.", "> [!DANGEREUX]\n> Attention.", "> [!DANGEREUX]"),
    ("characters", "Le client imprime.", "Le client \u202eimprime.", "Le client \u202eimprime."),
    ("size", "Le client imprime.", "x" * 400_001, None),
    ("manifest", "ping -c 2 {{ip}}\n```\n",
     "ping -c 2 {{ip}}\n```\n" + ("```sh\n" + "# ééééééé\n" * 1600 + "```\n\n") * 12, None),
]  # fmt: skip
ENVIRONMENT_CASES = [
    ("stepresult", "- check: {service: {cups: {running: true}}}\n", "", None),
    ("repair", "- repair: imp-001\n", "", None),
    ("desktop", "opens: menu", "opens: barre", None),
    ("desktop", "id: corbeille", "id: menu", None),
    ("desktop", "column: 1", "column: 99", "  - {id: corbeille, label: Corbeille, column: 99, row: 1}"),
    ("desktop", "```yaml", "```json", None),
    ("desktop", "icons:\n", "icons:\n  - {id: poste, label: Poste, column: 1, row: 1}\n", None),
    ("section-known", "## Bureau", "## Étapes\n\n## Bureau", "## Étapes"),
    ("yaml", "{id: menu, label: Menu}", "{id: menu, label: Menu", None),
]  # fmt: skip


def rules(text: str, **known: set[str]) -> set[str]:
    return {finding.rule for finding in lint(text, known=Known(**known))}


@pytest.mark.parametrize("text", [GOOD, ENVIRONMENT])
def test_a_good_document_has_no_finding(text):
    assert lint(text) == ()


@pytest.mark.parametrize(("rule", "old", "new", "line"), CASES + ENVIRONMENT_CASES)
def test_a_rule_fires_at_its_line(rule, old, new, line):
    source = ENVIRONMENT if (rule, old, new, line) in ENVIRONMENT_CASES else GOOD
    assert source.count(old) >= 1
    text = source.replace(old, new, 1)
    found = [finding for finding in lint(text) if finding.rule == rule]
    assert found, [finding.say() for finding in lint(text)]
    assert rule in RULES
    if line is not None:
        assert text.split("\n")[found[-1].line - 1] == line
    if rule != "repair":
        assert not publishable(lint(text))


def test_every_rule_has_a_case():
    covered = {case[0] for case in (*CASES, *ENVIRONMENT_CASES)} | {"reference"}
    assert covered == set(RULES)


@pytest.mark.parametrize(("rule", "old", "new", "line"), CASES + ENVIRONMENT_CASES)
def test_findings_speak_french(rule, old, new, line):
    source = ENVIRONMENT if (rule, old, new, line) in ENVIRONMENT_CASES else GOOD
    french = Catalogues(("procedures",))
    for finding in lint(source.replace(old, new, 1)):
        for message in (finding.message, finding.mend):
            assert french.gettext("fr", message) != message or message in ("Note", "Important")
            assert set(re.findall(r"\{(\w+)\}", message)) <= set(finding.params)
        said = finding.say(lambda message: french.gettext("fr", message))
        assert said
        assert not re.search(r"\{(?:name|value|key|known|text|reason|code|count)\}", said)


def test_rules_are_described_in_french():
    french = Catalogues(("procedures",))
    assert [name for name, text in RULES.items() if french.gettext("fr", text) == text] == []


def test_rules_are_documented():
    assert [name for name in RULES if f"`{name}`" not in DOCS] == []


def test_references_are_resolved_when_they_are_known():
    known = {
        "procedures": {"imp-001", "net-003", "dir-001"},
        "skills": {"reseau", "impression"},
        "environments": {"poste-debian-12"},
    }
    assert lint(GOOD, known=Known(**known)) == ()
    assert rules(GOOD, **(known | {"procedures": {"imp-001", "net-003"}})) == {"reference"}
    assert rules(GOOD, **(known | {"skills": set()})) == {"reference"}
    assert rules(GOOD, **(known | {"environments": set()})) == {"reference"}
    assert rules(ENVIRONMENT, procedures=set()) == {"reference"}
    shown = GOOD.replace("- phone:", "- show: imprimantes\n- phone:")
    assert rules(shown, elements={"menu"}) == {"reference"}
    assert rules(shown, elements={"imprimantes"}) == set()


def test_a_failure_needs_an_end():
    text = GOOD.replace("perskill: [impression]\n", "").replace(", then: {procedure: net-003, escalate: reseau}", "")
    assert "failure-path" in rules(text)
    assert "failure-path" not in rules(text.replace("id: imp-001", "id: imp-001\nperskill: [reseau]"))


def test_a_dangerous_command_is_advice_once_the_risk_is_high():
    text = GOOD.replace("ping -c 2 {{ip}}", "ping -c 2 {{ip}}; rm -rf /var").replace("risk: low", "risk: high")
    found = [finding for finding in lint(text) if finding.rule == "dangerous"]
    assert [finding.severity for finding in found] == [Severity.ADVICE]
    assert publishable(lint(text))


def test_sentences_are_counted_as_people_read_them():
    twenty = "Mot" + " mot" * 19
    for text in (f"{twenty}. {twenty}.", f"{twenty} :", f"{twenty} `un deux trois`".replace("mot ", "", 1),
    f"* {twenty}\n* {twenty}",
                 f"{twenty} !\n{twenty}", f"| {twenty} | {twenty} |\n|---|---|\n| a | b |",
                 f"> {twenty}.\n> {twenty}."):  # fmt: skip
        assert "sentence-length" not in rules(GOOD.replace("Le client imprime.", text)), text
    for text in (
        f"{twenty} mot.",
        f"{twenty}\nmot",
        f"* {twenty} mot",
        f"> {twenty}\n> mot",
        f"[{twenty} mot](procedure:a)",
    ):
        found = [
            finding for finding in lint(GOOD.replace("Le client imprime.", text)) if finding.rule == "sentence-length"
        ]
        assert len(found) == 1, text


def test_the_second_sentence_is_named_at_its_own_line():
    text = GOOD.replace("Le client imprime.", "Court.\nCourt aussi.\n" + "Mot" + " mot" * 20)
    (finding,) = lint(text)
    assert text.split("\n")[finding.line - 1].startswith("Mot mot")


def test_the_command_line_names_lines_and_fails(tmp_path):
    good, bad = tmp_path / "good.md", tmp_path / "bad.md"
    good.write_text(GOOD, encoding="utf-8")
    bad.write_text(GOOD.replace("timeout=30", "timeout=7200"), encoding="utf-8")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "procedures.format", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, encoding="utf-8")

    assert (run(str(good)).returncode, run(str(good)).stdout) == (0, "")
    failed = run(str(bad), str(good))
    assert failed.returncode == 1
    assert re.search(r"bad\.md:23:1: warning timeout \[s1\]: .*→", failed.stdout)
    assert "délai" in run("--lang", "fr", str(bad)).stdout
    assert run(str(tmp_path / "absent.md")).returncode == 2
    assert run("--resolve", str(good)).returncode == 1

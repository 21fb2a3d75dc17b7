"""What each format makes of a document: nothing lost, nothing added."""

from __future__ import annotations

import pytest
from imports_parts import ALCHEMY, MALLARD, NOTE, POWER, ROCKY, RUNBOOK, article, files, one, parsed

from kb.imports.formats import detect
from kb.imports.model import ParsedArticle, Skipped, SkipReason


@pytest.mark.parametrize(
    ("text", "ending", "name"),
    [
        (ALCHEMY, "md", "alchemy"),
        (ROCKY, "md", "rocky"),
        (RUNBOOK, "md", "runbooks"),
        (MALLARD, "page", "mallard"),
        (NOTE, "md", "notes"),
        (NOTE, "MD", "notes"),
    ],
)
def test_the_format_of_a_folder_is_found(text: str, ending: str, name: str) -> None:
    found = detect(files(**{f"a_{ending}": text, f"b_{ending}": text, "LICENSE_txt": "words"}))
    assert found is not None
    assert found.name == name


def test_a_folder_without_documents_has_no_format() -> None:
    assert detect(files(a_txt="# x")) is None
    assert detect([]) is None


def test_a_support_answer() -> None:
    read = article(ALCHEMY, "alchemy", "badge refused.md")
    assert read.title == "L’imprimante Windows refuse le badge"
    assert read.condition == "Le lecteur affiche l’erreur 0x8004de40   et s’éteint."
    assert read.remedy.startswith(
        "Pour y remédier :\n\n1. Ouvrez la [console](https://docs.microsoft.com/microsoft-365/"
    )
    assert "console#badges) et **retirez** le badge" in read.remedy
    assert "Lisez [l’autre réponse](article:other-answer.md) ou les réglages." in read.remedy
    assert "> **Remarque**\n>\n> Gardez la commande `<badge> [!NOTE]` telle quelle." in read.remedy
    assert read.remedy.endswith("\nUne photo du lecteur")
    assert read.error_codes == ("0x8004de40",)
    assert (read.os, read.locale, read.licence, read.updated) == (("windows",), "fr", "CC BY 4.0", "2020-09-15")
    assert read.address == "https://docs.microsoft.com/alchemyinsights/badge%20refused"


def test_a_guide() -> None:
    read = article(ROCKY, "rocky", "update.fr.md")
    assert read.title == "Mettre une machine Rocky à jour"
    assert read.condition == "**Mettre à jour**\n\nCe guide explique la mise à jour.\n\nElle se fait le soir."
    assert read.remedy.startswith("#### Étapes\n\n> **Attention**\n>\n> Sauvegardez d'abord.")
    assert "> ```bash\n> # sauvegarde\n> tar czf /tmp/etc.tgz /etc\n> ```" in read.remedy
    assert "**Serveur**\n\nLancez `dnf upgrade`, puis lisez la suite et le [site](https://example.org/a_%28b%29)." in (
        read.remedy
    )
    assert read.remedy.endswith("Un écran")
    assert read.authors == ("Une Personne", "Une Autre", "Encore Une")
    assert (read.os, read.locale, read.licence) == (("linux",), "fr", "CC BY-SA 4.0")


def test_a_note_whose_text_is_not_quite_indented_keeps_it() -> None:
    text = "# T\n\n## Étapes\n\n!!! note\n\n Presque.\n\n    Ensuite.\n\nDehors.\n\n!!! tip\nRien dedans.\n"
    remedy = article(text, "rocky", "a.fr.md").remedy
    assert remedy.endswith(
        "> **Remarque**\n>\n> Presque.\n>\n> Ensuite.\n\nDehors.\n\n> **Conseil**\n>\n\nRien dedans."
    )


def test_a_runbook() -> None:
    read = article(RUNBOOK, "runbooks", "alerts/disk/DiskAlmostFull.md")
    assert read.condition == (
        "The disk of a node is almost full, see [the guide](https://example.org/guide).\n\n#### Impact\n\nWrites fail."
    )
    assert read.cause == "Look with `df -h`:\n\n```sh\n## not a heading\ndf -h\n```"
    address = "https://github.com/openshift/runbooks/blob/master/alerts/other/Free.md"
    assert read.remedy == f"Free space as [told here]({address}).\n\n#### Later\n\nBuy a disk."
    assert read.error_codes == ("DiskAlmostFull",)
    assert (read.locale, read.licence) == ("en", "Apache-2.0")


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("README.md", "# Runbooks\n\nwords\n", SkipReason.INDEX),
        ("example.md", RUNBOOK, SkipReason.TEMPLATE),
        ("a/B.md", "# B\n\nThis alert has been moved to [c](https://example.org/).\n", SkipReason.MOVED),
        ("a/C.md", "# C\n\nThis alert is deprecated. You can ignore it.\n", SkipReason.DEPRECATED),
        ("a/D.md", "# D\n", SkipReason.EMPTY),
        ("a/E.md", "words only\n", SkipReason.NO_TITLE),
    ],
)
def test_what_is_no_runbook_says_why(path: str, text: str, reason: SkipReason) -> None:
    assert one(text, "runbooks", path) == Skipped(path=path, reason=reason)


def test_a_problem_page() -> None:
    read, power = parsed(files(scan_page=MALLARD, **{"scan-power_page": POWER})).articles
    assert read.title == "Le scanneur ne répond pas"
    assert read.condition == "Le voyant reste *éteint* et rien ne bouge."
    assert read.remedy == (
        "**Pour le réveiller :**\n\n"
        "1. Appuyez sur **Ctrl**+**L** dans **Menu** › **Réglages**.\n\n"
        "2. Lancez `lsusb *` :\n\n   ```\n   lsusb\n     -v\n   ```\n\n   - puis attendez\n\n"
        "> **Avertissement**\n>\n"
        "> Ne forcez pas. Voyez [Le courant manque](article:scan-power.page) ou [le site](https://example.org/).\n\n"
        "Dans la barre du haut.\n\n"
        "Le voyant du scanneur\n\n"
        "| Voyant | Sens |\n| --- | --- |\n| rouge\\|vert | occupé |\n\n"
        "#### Sinon\n\n2\\. Changez le câble_usb."
    )
    assert (read.locale, read.os, read.licence, read.updated) == ("fr", ("linux",), "CC BY-SA 3.0", "2019-05-06")
    assert read.authors == ("Une Personne",)
    assert power.title == "Le courant manque"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('type="topic"', 'type="guide"', SkipReason.INDEX),
        ('style="problem"', 'style="task"', None),  # a list of problems leads to it
        ('style="problem" id="scan-silent"', 'style="task" id="scan-new" ', None),
        ("</page>", "", SkipReason.XML),
        ("http://projectmallard.org/1.0/", "http://example.org/", SkipReason.XML),
    ],
)
def test_which_pages_treat_a_problem(old: str, new: str, reason: SkipReason | None) -> None:
    found = one(MALLARD.replace(old, new), "mallard", "a.page")
    assert isinstance(found, ParsedArticle) if reason is None else found.reason is reason  # type: ignore[union-attr]


def test_a_task_that_no_list_of_problems_leads_to_is_left_out() -> None:
    text = MALLARD.replace('style="problem"', 'style="task"').replace("scan#problems", "scan#more")
    assert one(text, "mallard", "a.page") == Skipped(path="a.page", reason=SkipReason.NOT_A_PROBLEM)


def test_our_own_notes() -> None:
    read = article(NOTE, "notes", "claviers/a.md", licence="La coopérative")
    assert read.title == "Le pavé numérique reste muet"
    assert read.condition == "Sur les postes livrés au printemps.\n\nRien ne s'affiche."
    assert read.cause == "Le verrouillage est perdu au démarrage."
    assert read.remedy == (
        "1. Appuyez sur Verr num, voir [l'autre](article:claviers/sub/other.md).\n\n#### Si cela revient\n\n"
        "Changez le réglage."
    )
    assert (read.locale, read.licence) == ("fr", "La coopérative")


def test_the_header_of_a_note_says_whom_it_concerns() -> None:
    head = "applies_to: [poste-debian-12]\nos: linux\nskills: [reseau, impression]\ndate: 2024-05-06T10:00\nlang: en"
    read = article(f"---\n{head}\n---\n# Title\n\nText\n", "notes")
    assert (read.applies_to, read.os, read.skills) == (("poste-debian-12",), ("linux",), ("reseau", "impression"))
    assert (read.updated, read.locale) == ("2024-05-06", "en")


@pytest.mark.parametrize(
    ("condition", "cause", "remedy"),
    [
        ("Symptôme", "Cause", "Remède"),
        ("Condition", "Causes", "Résolution"),
        ("Problème constaté", "Origine", "Marche à suivre"),
        ("Symptoms", "Root cause", "Resolution"),
        ("Problem", "Reason", "Fix"),
        ("Observation", "Diagnosis", "Workaround"),
    ],
)
def test_the_parts_of_a_note_are_known_in_both_languages(condition: str, cause: str, remedy: str) -> None:
    text = f"# Titre\n\n## {condition}\n\nun\n\n## {cause} :\n\ndeux\n\n## {remedy}\n\ntrois\n"
    read = article(text, "notes")
    assert (read.condition, read.cause, read.remedy) == ("un", "deux", "trois")


def test_a_note_without_known_headings_is_kept_whole() -> None:
    read = article("# Titre\n\nCe que l'on voit.\n\nFaites ceci :\n\n1. un\n2. deux\n", "notes")
    assert (read.condition, read.remedy) == ("Ce que l'on voit.", "Faites ceci :\n\n1. un\n2. deux")
    assert article("# Titre\n\nTout est là.\n", "notes").remedy == "Tout est là."
    assert article("Titre\n=====\n\nTout est là.\n", "notes").title == "Titre"
    only = article(
        "---\ntitle: De l'en-tête\nauthor: [a, b]\nlicence: CC0\n---\n## Cause\n\nx\n\n## Solution\n\ny\n", "notes"
    )
    assert (only.title, only.cause, only.remedy, only.authors, only.licence) == (
        "De l'en-tête",
        "x",
        "y",
        ("a", "b"),
        "CC0",
    )


def test_code_is_never_changed() -> None:
    code = '![x](y.png)\n<a name="z"></a>\n[a](b.md)\n\n\n\n# no\n> [!NOTE]\n!!! note\n[r]: https://example.org'
    text = f"# T\n\n## Solution\n\n```\n{code}\n```\n\nSee `[a](b.md) <br>` and [r].\n\n[r]: https://example.org/\n"
    read = article(text, "notes")
    assert f"```\n{code}\n```" in read.remedy
    assert read.remedy.endswith("See `[a](b.md) <br>` and [r](https://example.org/).")


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org/x",
        "ftp://example.org",
        "vbscript:x",
        "https:///x",
        "#x",
    ],
)
def test_addresses_that_lead_nowhere_good_become_words(address: str) -> None:
    assert article(f"# T\n\n## Solution\n\nSee [this]({address}).\n", "notes").remedy == "See this."


def test_only_codes_that_are_codes_are_taken() -> None:
    body = "KB5034441, AADSTS50011, 550 5.7.1, ERR_NAME_NOT_RESOLVED; not 4.13.0, 802.11."
    assert article(f"# T 0x80070005\n\n## Solution\n\n{body}\n", "notes").error_codes == (
        "0x80070005", "KB5034441", "AADSTS50011", "550 5.7.1", "ERR_NAME_NOT_RESOLVED",
    )  # fmt: skip

"""Reading a procedure's text for the library: what it says about itself, what is wrong with it, its digest."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from compagnon.errors import Invalid
from compagnon.i18n import N_
from procedures import format as procedure_format
from procedures.format.model import Block, Code, Note, Procedure, Text
from procedures.format.problems import Finding
from procedures.format.rules.case import Known
from procedures.library.model import LOCALES, TEXT_LIMIT, is_code


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """``procedure`` is None when the text cannot be read as one; ``findings`` then say why, else what lint says."""

    text: str
    procedure: Procedure | None
    findings: tuple[Finding, ...]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the canonical text; of the text as typed while it cannot be read."""
        if self.procedure is not None:
            return procedure_format.digest(self.procedure)
        return hashlib.sha256(self.text.encode()).hexdigest()


def clean(text: str) -> str:
    """The text with unix line ends. Raises Invalid when it is empty, too long, or not text."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise Invalid(N_("The text is empty."), field="text")
    if len(text.encode("utf-8", "surrogatepass")) > TEXT_LIMIT:
        raise Invalid(N_("A procedure has {limit} kB of text at most."), field="text", limit=TEXT_LIMIT // 1024)
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise Invalid(N_("The text holds characters that cannot be kept."), field="text")
    return text if text.endswith("\n") else text + "\n"


def read(text: str, known: Known | None = None) -> Reading:
    """What a text says and everything to mend in it; ``known`` is what exists in the library for it to name."""
    draft = procedure_format.read(text)
    findings = procedure_format.lint(text, known=known)
    return Reading(text=text, procedure=None if draft.problems else draft.procedure, findings=findings)


def parsed(text: str) -> Procedure:
    """The procedure of a text that is known to be one (a published version)."""
    return procedure_format.parse(text)


def identity(procedure: Procedure) -> tuple[str, str]:
    """The code and language a new text gives itself. Raises Invalid."""
    if not is_code(procedure.id):
        raise Invalid(
            N_("“{code}” cannot be a procedure's code: lower-case letters, digits and hyphens, such as imp-001."),
            field="text",
            code=procedure.id[:80],
        )
    if procedure.locale not in LOCALES:
        raise Invalid(N_("A procedure's language is fr or en."), field="text")
    return procedure.id, procedure.locale


def facts(reading: Reading, previous: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The columns that repeat what the text says. While it cannot be read, those of before are kept."""
    kept = {key: (previous or {})[key] for key in ("title", "kind", "applies_to", "skills", "risk")} if previous else {}
    if reading.procedure is not None:
        kept = {
            "title": reading.procedure.title[:300],
            "kind": str(reading.procedure.type),
            "applies_to": list(reading.procedure.applies_to),
            "skills": list(reading.procedure.perskill),
            "risk": str(reading.procedure.risk or "low"),
        }
    return {**kept, "digest": reading.digest, "text": reading.text}


def plain(blocks: Iterable[Block]) -> str:
    """The words of some blocks, for the search index: without addresses, other Markdown signs are harmless there."""
    return _LINK.sub(r"\1", "\n".join(_words(block) for block in blocks))


def _words(block: Block) -> str:
    match block:
        case Code():
            return block.script
        case Note() | Text():
            return block.markdown


_LINK = re.compile(r"\[([^\[\]]*)\]\([^()\s]*\)")


SKELETONS = {
    "fr": (
        "Quand suivre cette procédure, et quand ne pas la suivre.",
        "## Étapes\n\n### s1: Décrivez la première action {importance=required}\n- stepresult: Ce que l'on constate.\n",
        "## Résultat\n\nCe qui doit être vrai à la fin.\n",
    ),
    "en": (
        "When to follow this procedure, and when not to.",
        "## Steps\n\n### s1: Describe the first action {importance=required}\n- stepresult: What can be seen.\n",
        "## Result\n\nWhat must be true at the end.\n",
    ),
}


def skeleton(code: str | None, locale: str, title: str) -> str:
    """The beginning of a new procedure: readable, and with everything that lint will ask for still to be said."""
    context, steps, result = SKELETONS.get(locale, SKELETONS["fr"])
    front = {"id": code or f"new-{secrets.token_hex(3)}", "type": "repair", "title": title.splitlines()[0][:120]}
    head = yaml.safe_dump({**front, "locale": locale, "risk": "low"}, allow_unicode=True, sort_keys=False, width=1000)
    return f"---\n{head}---\n{context}\n\n{steps}\n{result}"

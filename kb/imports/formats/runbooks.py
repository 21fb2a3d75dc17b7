"""OpenShift's alert runbooks: one Markdown file per alert, with Meaning, Impact, Diagnosis and Mitigation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from compagnon.i18n import N_
from kb.imports.formats import admonitions, base, headings, hints, links, markup
from kb.imports.model import Defaults, ParsedArticle, Skipped, SkipReason, SourceFile

SITE = "https://github.com/openshift/runbooks/blob/master/"
CONDITION = re.compile(r"^(?:meaning|impact|alert description|overview|description)$", re.IGNORECASE)
CAUSE = re.compile(r"^diagnosis$", re.IGNORECASE)
UNTITLED = re.compile(r"^(?:meaning|alert description|diagnosis|mitigation)$", re.IGNORECASE)
MOVED = re.compile(r"^This alert has been moved to\b[^\n]*$", re.IGNORECASE)
DEPRECATED = re.compile(r"^This alert is deprecated\b[^\n]*$", re.IGNORECASE)
ALERT = re.compile(r"^[A-Za-z][A-Za-z0-9]{5,99}$")


class Runbooks:
    name = "runbooks"
    label = N_("Alert runbooks (OpenShift)")
    licence = "Apache-2.0"
    ending = ".md"
    _mark = re.compile(r"^## Meaning$.*^## (?:Mitigation|Diagnosis)", re.MULTILINE | re.DOTALL)

    def recognises(self, files: Sequence[SourceFile]) -> bool:
        return base.share(base.documents(files, self.ending), self._mark) > 0.5

    def parse(self, file: SourceFile, defaults: Defaults) -> ParsedArticle | Skipped:
        address = SITE + quote(file.path)
        parts = headings.sections(_plain(file.text, links.whole(address)))
        title = next((part.title for part in parts if part.level == 1), "")
        reason = _no_runbook(file, parts)
        if reason:
            return base.skipped(file, reason)
        condition, cause, remedy = _divided(parts)
        if not title or not remedy:
            return base.skipped(file, SkipReason.EMPTY if title else SkipReason.NO_TITLE)
        alert = headings.plain(title)
        return ParsedArticle(
            path=file.path,
            title=base.short(alert),
            locale=defaults.locale or "en",
            condition=condition,
            cause=cause,
            remedy=remedy,
            error_codes=(*([alert] if ALERT.match(alert) else []), *hints.error_codes(condition, cause, remedy)),
            licence=defaults.licence or self.licence,
            authors=("OpenShift",),
            address=address,
        )


def _no_runbook(file: SourceFile, parts: Sequence[headings.Section]) -> SkipReason | None:
    if file.name.upper() == "README.MD":
        return SkipReason.INDEX
    if file.path == "example.md":
        return SkipReason.TEMPLATE
    text = "\n\n".join(part.body for part in parts if part.body).strip()
    if not text:
        return SkipReason.EMPTY
    if MOVED.match(text):
        return SkipReason.MOVED
    return SkipReason.DEPRECATED if DEPRECATED.match(text) else None


def _plain(text: str, target: links.Target) -> str:
    return links.resolve(admonitions.microsoft(markup.plain(text), "en"), target)


def _divided(parts: Sequence[headings.Section]) -> tuple[str, str, str]:
    """Condition, cause and remedy. A section that has none of the four names belongs to what is to be done."""
    condition, cause, remedy = list[headings.Section](), list[headings.Section](), list[headings.Section]()
    current = condition
    for part in parts:
        if part.level == 2:
            current = condition if CONDITION.match(part.title) else cause if CAUSE.match(part.title) else remedy
        current.append(_untitled(part))
    observed, why, act = (headings.joined(some) for some in (condition, cause, remedy))
    if not why and not act:  # a helper page: nothing but what to do
        return "", "", observed
    return (observed, why, act) if act else (observed, "", why)


def _untitled(part: headings.Section) -> headings.Section:
    """The title of the page and the names that the parts of an article say themselves are not repeated."""
    known = part.level == 1 or (part.level == 2 and UNTITLED.match(part.title))
    return replace(part, level=0, title="") if known else part

"""An article in force as the search index sees it."""

from __future__ import annotations

from compagnon.i18n.formats import ZONE
from kb.articles.model import Version
from kb.articles.plain import plain
from kb.search.model import Document

KIND = "article"


def document(version: Version) -> Document:
    return Document(
        kind=KIND,
        id=str(version.article_id),
        title=version.title,
        url=f"/articles/{version.article_id}",
        locale=version.locale,
        symptoms=(plain(version.condition),) if version.condition else (),
        identifiers=tuple(version.error_codes),
        steps=tuple(plain(solution.remedy) for solution in version.solutions if solution.remedy),
        body=plain("\n".join(filter(None, (*(solution.cause for solution in version.solutions), version.workaround)))),
        environments=tuple(version.applies_to),
        skills=tuple(version.skills),
        os=tuple(version.os),
        state=state(version),
        reviewed=reviewed(version),
    )


def state(version: Version) -> str:
    """What the results say beside the title."""
    if version.stale:
        return "stale"
    return "known-error" if version.known_error else "published"


def reviewed(version: Version) -> str:
    """The day (ISO) when somebody last looked at it; "" for what was only imported."""
    if version.reviewed_at is None or (version.imported and version.reviewed_at == version.published_at):
        return ""
    return version.reviewed_at.astimezone(ZONE).date().isoformat()

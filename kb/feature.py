"""What the knowledge base adds to the application: the search, what is learned from it, and the articles."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from compagnon.auth.model import Member, Role
from compagnon.i18n import N_
from compagnon.jobs import Jobs
from compagnon.kernel import Kernel
from compagnon.web.feature import Action, DashboardPanel, Feature, NavItem, Panel
from kb.articles import web as articles_web
from kb.articles import web_edit, web_review
from kb.articles.indexing import KIND as ARTICLE
from kb.articles.preview import previewer
from kb.articles.service import Articles
from kb.imports import web as imports_web
from kb.imports.service import Imports
from kb.learning import web as learning_web
from kb.learning.service import Learning
from kb.saved import web as saved_web
from kb.saved.service import SavedSearches
from kb.search import web
from kb.search.choosing import choose
from kb.search.directory_source import DirectorySource
from kb.search.members_source import MembersSource
from kb.search.pacing import Pace
from kb.search.reranking import reranker
from kb.search.service import Search
from kb.suggestions import web as suggestions_web
from kb.suggestions.service import Suggesting
from kb.synonyms import web as synonyms_web
from kb.synonyms.preview import Preview
from kb.synonyms.service import Synonyms


@dataclass(frozen=True, slots=True, kw_only=True)
class Kb:
    feature: Feature
    search: Search
    articles: Articles
    synonyms: Synonyms
    learning: Learning
    suggesting: Suggesting
    imports: Imports


def build(kernel: Kernel) -> Kb:
    """The other packages register their sources with ``search`` while they are built."""
    search = Search(kernel.db, choose(kernel.settings.search_engine, kernel.settings.data_dir / "search"))
    search.rerank(reranker(kernel.settings.rerank_model))
    clients = DirectorySource(kernel.directory)
    search.record_source(clients)
    search.preview("client", clients.preview)
    search.record_source(MembersSource(kernel.members))
    articles = Articles(kernel, search)
    search.library_source(ARTICLE, articles)
    search.preview(ARTICLE, previewer(articles))
    synonyms = Synonyms(kernel)
    search.synonyms(synonyms)
    learning = Learning(kernel.db, search.changed)
    search.evidence(learning)
    suggesting = Suggesting(search, articles)
    imports = Imports(kernel, articles)
    articles.lessons = learning
    feature = Feature(
        package="kb",
        handlers=[
            *web.HANDLERS,
            *synonyms_web.HANDLERS,
            *suggestions_web.HANDLERS,
            *learning_web.HANDLERS,
            *saved_web.HANDLERS,
            *imports_web.HANDLERS,
            *articles_web.HANDLERS,
            *web_edit.HANDLERS,
            *web_review.HANDLERS,
        ],
        dependencies={
            "search": search,
            "articles": articles,
            "synonyms": synonyms,
            "previews": Preview(search),
            "learning": learning,
            "search_pace": Pace(),
            "saved": SavedSearches(kernel.db),
            "suggesting": suggesting,
            "imports": imports,
        },
        nav=[NavItem(href="/articles", label=N_("Articles"), icon="book", order=32)],
        actions=[
            Action(href="/articles/new", label=N_("Write an article"), icon="book-upload"),
            Action(href="/articles?look_after=on", label=N_("Articles to look after"), icon="clock-exclamation"),
            Action(href="/search/synonyms", label=N_("Synonyms of the search"), icon="arrows-exchange"),
            Action(href="/articles/sources", label=N_("Sources of articles"), icon="books", role=Role.ADMINISTRATOR),
        ],
        topics={
            "search": _everyone("index"),
            "synonyms": _everyone("list"),
            "imports": _administrators,
            "article": _any_member,
            "articles": _any_member,
        },
        dashboard_panels=[_synonyms_waiting(synonyms), _dashboard(articles)],
        lifespan=(search.working, synonyms.following),
        tasks=_tasks(learning, imports, articles),
    )
    return Kb(
        feature=feature,
        search=search,
        articles=articles,
        synonyms=synonyms,
        learning=learning,
        suggesting=suggesting,
        imports=imports,
    )


async def _any_member(_member: Member, _key: str) -> bool:
    """Every member reads every article, drafts too: colleagues help each other."""
    return True


def _dashboard(articles: Articles) -> DashboardPanel:
    async def panel(member: Member) -> Panel | None:
        waiting, own = await articles.waiting_for(member), await articles.own_drafts(member)
        if not waiting and not own:
            return None
        return Panel(template="kb/articles/dashboard.html", context={"waiting": waiting, "own": own}, order=45)

    return panel


def _everyone(known: str) -> Callable[[Member, str], Awaitable[bool]]:
    """How far the index is, and that words changed, concerns every member and says nothing about any record."""

    async def guard(member: Member, key: str) -> bool:
        return key == known

    return guard


async def _administrators(member: Member, key: str) -> bool:
    """How far an import is."""
    return key == "all" and member.role.covers(Role.ADMINISTRATOR)


def _tasks(learning: Learning, imports: Imports, articles: Articles) -> Callable[[Jobs], None]:
    def register(jobs: Jobs) -> None:
        learning.register(jobs)
        imports.register(jobs)
        articles.register(jobs)

    return register


def _synonyms_waiting(synonyms: Synonyms) -> DashboardPanel:
    async def panel(member: Member) -> Panel | None:
        waiting = await synonyms.waiting_for(member)
        return Panel(template="kb/synonyms/dashboard.html", context={"waiting": waiting}, order=45) if waiting else None

    return panel

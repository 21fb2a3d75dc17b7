"""The Litestar application: the features' routes inside what all of them have in common."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from jinja2 import Environment
from litestar import Litestar, Request, route
from litestar.config.app import AppConfig
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions.base_exceptions import LitestarDeprecationWarning
from litestar.params import FromPath
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template import TemplateConfig

from compagnon.auth.feature import build as build_auth
from compagnon.auth.model import Member, Role
from compagnon.auth.sign_ins import SignIns
from compagnon.directory.feature import build as build_directory
from compagnon.errors import Forbidden, NotFound
from compagnon.i18n import N_, Catalogues
from compagnon.kernel import Kernel
from compagnon.settings import Settings
from compagnon.web import context as contexts
from compagnon.web import environment, headers
from compagnon.web.audit_pages import FEATURE as AUDIT
from compagnon.web.errors import exception_handlers
from compagnon.web.feature import Feature, TopicGuard
from compagnon.web.forms import Form
from compagnon.web.guards import REFUSALS
from compagnon.web.live import Live
from compagnon.web.navigation import Navigation, entries
from compagnon.web.signin import SignInMiddleware
from compagnon.web.static import StaticFiles

KERNEL = "compagnon"
BODY_LIMIT = 12 * 1024 * 1024  # bytes of a request; a route for larger files sets its own
Lifespan = Callable[[Litestar], AbstractAsyncContextManager[None]]


def build(kernel: Kernel, features: Sequence[Feature], *, lifespan: Lifespan | None = None) -> Litestar:
    """The application over these features, to which the kernel's own (members, clients) are added.

    Everything the shell needs is checked here: two routes for one address, an unknown package or a missing file
    end the start with their name.
    """
    sign_ins = SignIns(kernel.db, kernel.settings, kernel.members)
    own = (build_auth(kernel, sign_ins), build_directory(kernel, features), AUDIT)
    everything = [*own, *features]
    started = [*([lifespan] if lifespan else []), *(_started(part) for feature in own for part in feature.lifespan)]
    packages = tuple(dict.fromkeys([KERNEL, *(feature.package for feature in everything)]))
    Catalogues(packages).install()
    static = StaticFiles(packages)
    live = Live(kernel.db, kernel.hub, _topics(everything))
    templates = templates_of(packages, everything, static, kernel.settings)
    with warnings.catch_warnings():
        # Services are injected by name everywhere (docs/explanation/architecture.md). Litestar 3 will want each marked.
        warnings.filterwarnings("ignore", "(?s).*Inferred dependency field", LitestarDeprecationWarning)
        return _litestar(kernel, everything, static, live, sign_ins, templates, started)


def _litestar(
    kernel: Kernel,
    everything: Sequence[Feature],
    static: StaticFiles,
    live: Live,
    sign_ins: SignIns,
    templates: Environment,
    started: Sequence[Lifespan],
) -> Litestar:
    return Litestar(
        route_handlers=[
            static.handler(),
            live.handler(),
            nothing_here,
            *(handler for feature in everything for handler in feature.handlers),
        ],
        middleware=[SignInMiddleware(kernel.settings, sign_ins)],
        dependencies=_dependencies(kernel, everything),
        exception_handlers=exception_handlers(kernel.settings),
        template_config=TemplateConfig(instance=JinjaTemplateEngine.from_environment(templates)),
        before_send=[headers.make_hook(kernel.settings)],
        lifespan=[*started, _closing(live)],
        state=State({"end_streams": live.close}),
        openapi_config=None,
        request_max_body_size=BODY_LIMIT,
        on_app_init=[_quiet],
        debug=False,
    )


def _started(part: Callable[[], AbstractAsyncContextManager[None]]) -> Lifespan:
    """A kernel feature's own start and stop, within the server's: those of ``features`` are the server's to start."""
    return lambda _app: part()


def templates_of(
    packages: Sequence[str], features: Sequence[Feature], static: StaticFiles, settings: Settings
) -> Environment:
    """The templates of all packages with what the shell's own call."""
    navigation = Navigation(features)
    return environment.make(
        packages,
        {
            "static": static.url,
            "module": static.module,
            "nav_items": navigation.items,
            "nav_actions": navigation.actions,
            "nav_current": navigation.current,
            "everywhere": lambda: [template for feature in features for template in feature.everywhere],
            "shell_entries": entries,
            "cooperative": lambda: settings.cooperative,
        },
    )


@route(
    ["/{rest:path}"],
    http_method=["GET", "POST", "PUT", "PATCH", "DELETE"],
    opt={"public": True, "csrf": False},
    status_code=404,
)
async def nothing_here(rest: FromPath[Path]) -> None:
    """Every address that no feature knows, so that the 404 page knows who is asking."""
    raise NotFound(N_("The address may be mistyped, or what it named was removed. The search finds everything else."))


def provide_member(request: Request[Any, Any, Any]) -> Member:
    """The keyword ``member`` of any handler. On a public route, Forbidden when nobody is signed in."""
    member = contexts.need(request.scope).member
    if member is None:
        raise Forbidden(REFUSALS[Role.MEMBER])
    return member


async def provide_form(request: Request[Any, Any, Any]) -> Form:
    """The keyword ``form`` of any handler: what was sent, urlencoded or multipart."""
    sent = await request.form()
    return Form({name: sent.getall(name) for name in dict.fromkeys(sent.keys())})


def _dependencies(kernel: Kernel, features: Iterable[Feature]) -> Mapping[str, Provide]:
    ready: dict[str, Any] = {
        "db": kernel.db,
        "settings": kernel.settings,
        "members": kernel.members,
        "directory": kernel.directory,
        "ws_tickets": kernel.ws_tickets,
    }
    for feature in features:
        ready.update(feature.dependencies)
    given = {name: Provide(_constant(value), use_cache=True, sync_to_thread=False) for name, value in ready.items()}
    given["member"] = Provide(provide_member, sync_to_thread=False)
    given["form"] = Provide(provide_form)
    return given


def _constant(value: object) -> Callable[[], Any]:
    def give() -> Any:  # noqa: ANN401 - a service of any type
        return value

    return give


def _topics(features: Iterable[Feature]) -> Mapping[str, TopicGuard]:
    known: dict[str, TopicGuard] = {}
    for feature in features:
        for prefix, guard in feature.topics.items():
            if prefix in known:
                raise ValueError(f"two features declare the topic {prefix!r}")
            known[prefix] = guard
    return known


def _closing(live: Live) -> Lifespan:
    @asynccontextmanager
    async def until_stopped(_: Litestar) -> AsyncIterator[None]:
        try:
            yield
        finally:
            live.close()

    return until_stopped


def _quiet(config: AppConfig) -> AppConfig:
    """The shell logs failures itself, with the request's id; Litestar's own log would say them twice."""
    config.logging_config = None
    return config

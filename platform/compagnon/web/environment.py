"""The Jinja environment over every package's templates, and what all templates may call."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from compagnon import i18n
from compagnon.auth import skill_words
from compagnon.i18n import formats
from compagnon.web import checks_words
from compagnon.web import context as contexts
from compagnon.web.csrf import FIELD


def make(packages: Sequence[str], extra: Mapping[str, Callable[..., Any]]) -> Environment:
    """Autoescaped and strict: an unknown name in a template is an error, not an empty string."""
    loaders = [loader for package in packages if (loader := _loader(package))]
    environment = Environment(
        loader=ChoiceLoader(loaders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        cache_size=-1,
    )
    environment.globals.update(
        {
            "_": translate,
            "csrf_field": csrf_field,
            "gettext": translate,
            "ngettext": translate_plural,
            "locale_now": i18n.current_locale,
            **extra,
        }
    )
    environment.filters.update(
        {
            "date": formats.date,
            "datetime": formats.moment,
            "time": formats.time,
            "relative": formats.relative,
            "duration": formats.duration,
            "number": formats.number,
            "filesize": formats.filesize,
            "iso": formats.iso,
            "json_data": json_data,
            "browser_name": browser_name,
            "skill": skill_words.label,
            "skill_named": skill_words.named,
            "attribute_word": checks_words.attribute_word,
            "expectation": checks_words.expectation,
            "difference": checks_words.difference,
            "written": checks_words.written,
        }
    )
    return environment


def _loader(package: str) -> PackageLoader | None:
    try:
        return PackageLoader(package)
    except ValueError:  # a package without templates
        return None


def translate(message: str, /, **fields: object) -> str | Markup:
    """``_("Hello {name}", name=…)``: the msgid and its fields are escaped, markup in fields is kept."""
    translated = i18n.gettext(message)
    return _filled(translated, fields) if fields else translated


def translate_plural(singular: str, plural: str, n: int, /, **fields: object) -> Markup:
    """``ngettext("{n} machine", "{n} machines", count)``; ``{n}`` is shown as the language writes numbers."""
    chosen = i18n.catalogues.choose_plural(singular, plural, n)
    return _filled(chosen, {"n": formats.number(n), **fields})


def _filled(text: str, fields: Mapping[str, object]) -> Markup:
    return Markup(escape(text)).format(**fields)  # noqa: S704 - escaped first; format() escapes each field


def csrf_field() -> Markup:
    """The hidden field of every form that posts; also inside macros, which do not see the page's names."""
    known = contexts.current()
    token = escape(known.csrf_token if known else "")
    return Markup(f'<input type="hidden" name="{FIELD}" value="{token}">')  # noqa: S704 - escaped just above


def json_data(value: object) -> Markup:
    """For ``<script type="application/json">{{ value|json_data }}</script>``: no character can end the element."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return Markup(text)  # noqa: S704 - made safe just above


BROWSERS = (("Edg/", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


def browser_name(agent: str) -> str:
    """A User-Agent header as people say it: "Firefox, Linux"; the header's beginning where it says nothing known."""
    names = [next((name for mark, name in known if mark in agent), "") for known in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in names if name) or agent[:40] or "?"

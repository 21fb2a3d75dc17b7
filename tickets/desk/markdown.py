"""Messages are Markdown: no HTML, no images, links only to the web, mail and phones; cleaned once more at the end."""

from __future__ import annotations

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

# js-default, never the default preset, which lets HTML through.
_reader = MarkdownIt("js-default", {"html": False, "linkify": False, "breaks": True}).disable(["image"])
TAGS = {
    "p", "br", "strong", "em", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "hr", "table", "thead", "tbody",
    "tr", "th", "td", "h1", "h2", "h3", "h4", "h5", "h6",
}  # fmt: skip
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto", "tel"}


@lru_cache(maxsize=2048)
def rendered(text: str) -> Markup:
    """A message as HTML that cannot do anything but be read."""
    html = nh3.clean(
        _reader.render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
    )
    return Markup(html)  # noqa: S704 - cleaned just above

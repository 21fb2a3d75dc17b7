"""Hostile Markdown is inert: nothing in the HTML can run, leak or load; a real browser agrees."""

import importlib.util
import json
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from compagnon.markup.html import Target, inline_html, markdown_html
from compagnon.markup.links import is_link, is_local
from procedures.format import read
from procedures.format.html import blocks_html
from procedures.format.model import Code

_SPEC = importlib.util.spec_from_file_location("xss_corpus", Path(__file__).with_name("xss_corpus.py"))
corpus = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(corpus)

TAGS = {
    "a", "blockquote", "br", "code", "div", "em", "h4", "h5", "h6", "hr", "i", "img", "li", "ol", "p", "pre", "s",
    "span", "strong", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {
    "href",
    "rel",
    "src",
    "alt",
    "loading",
    "start",
    "class",
    "role",
    "aria-hidden",
    "tabindex",
    "data-language",
    "data-run-on",
}
CLASSES = {
    "table", "table-sm", "text-center", "text-end", "text-start", "img-fluid", "rounded", "procedure-code",
    "procedure-value", "alert",
    "alert-info", "alert-success", "alert-primary", "alert-warning", "alert-danger", "alert-title", "ti",
    "ti-info-circle", "ti-bulb",
    "ti-message-report", "ti-alert-triangle", "ti-alert-octagon",
}  # fmt: skip
TARGETS = [Target(), *(Target(values={"ip": value}) for value in corpus.VALUES)]


class Guard(HTMLParser):
    """Collects everything that is not dull."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.faults: list[str] = []

    def handle_starttag(self, tag, attributes):
        if tag not in TAGS:
            self.faults.append(tag)
        for name, value in attributes:
            self.attribute(tag, name, value or "")

    def attribute(self, tag, name, value):
        if name not in ATTRIBUTES:
            self.faults.append(f"{tag} {name}")
        if name == "class":
            self.faults += sorted(set(value.split()) - CLASSES)
        if name == "src" and not value.startswith("/media/"):
            self.faults.append(f"src {value}")
        if name == "href" and not self.is_dull(value):
            self.faults.append(f"href {value}")

    @staticmethod
    def is_dull(address):
        parts = urlsplit(address)
        if parts.scheme in ("http", "https"):
            return "@" not in parts.netloc and parts.hostname == "e.example"
        return parts.scheme in ("mailto", "tel") or (not parts.scheme and not parts.netloc and "\\" not in address)

    def handle_decl(self, decl):
        self.faults.append(decl)

    def handle_pi(self, data):
        self.faults.append(data)

    def handle_comment(self, data):
        self.faults.append(data)


def faults(html: str) -> list[str]:
    guard = Guard()
    guard.feed(html)
    guard.close()
    return guard.faults


def document(attempt: str) -> str:
    """A procedure with the attempt everywhere text may stand."""
    line = " ".join(attempt.split())
    quoted = json.dumps(line, ensure_ascii=False)
    indented = "\n".join("  " + part for part in attempt.split("\n"))
    noted = "\n".join("> " + part for part in attempt.split("\n"))
    return f"""---
id: imp-001
type: install
title: {quoted}
locale: fr
reqconds: [{quoted}]
parameters:
  ip: {{type: text, label: {quoted}, default: {quoted}}}
---
{attempt}

## Étapes

### s1: Ouvrez {line} {{importance=required}}

{attempt}

> [!WARNING]
{noted}

* liste

{indented}

```sh {{run_on=agent}}
{attempt.replace("`", "'")}
```

- info: {line}
- phone: {line}
- stepresult: {line}
- check: {{command: {{{quoted}: {{exit-status: 0}}}}}}
- rollback: {line}

## Résultat

{attempt}

## {line}

{attempt}
"""


def page(attempt: str, target: Target) -> str:
    """What a page shows of it: bodies through html.py, plain values escaped as the templates do."""
    procedure = read(document(attempt)).procedure
    parts = [
        blocks_html(procedure.context, target),
        escape(procedure.title),
        blocks_html(procedure.result.body, target),
    ]
    parts += [escape(text) for text in procedure.reqconds]
    parts += [f'<p class="ti">{escape(parameter.label)}</p>' for parameter in procedure.parameters]
    for step in procedure.steps:
        parts += [inline_html(step.title, target), blocks_html(step.body, target)]
        parts += [inline_html(text, target) for text in (step.info, step.phone, step.stepresult) if text]
        parts += [inline_html(step.rollback.text, target)] if step.rollback else []
    for section in procedure.others:
        parts += [inline_html(section.title, target), blocks_html(section.body, target)]
    parts.append(markdown_html(attempt, target))
    return "\n".join(map(str, parts))


def test_there_are_enough_attempts():
    assert len(set(corpus.ATTEMPTS)) == len(corpus.ATTEMPTS) >= 60


@pytest.mark.parametrize("attempt", corpus.ATTEMPTS)
def test_an_attempt_is_inert(attempt):
    for target in TARGETS:
        assert faults(page(attempt, target)) == []


def test_the_guard_sees_what_is_active():
    found = [attempt for attempt in corpus.HTML if faults(attempt)]
    assert len(found) >= 55
    for active in ("<a href=javascript:alert(1)>", "<img src=//evil.example/x>", "<p onclick=x>", "<!-- x -->",
    '<a href="//evil.example">',
                   '<div class="modal-backdrop">'):  # fmt: skip
        assert faults(active), active


def test_the_attempts_reach_the_page_as_text():
    shown = page("<script>alert(1)</script>", Target())
    assert shown.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 10


def test_a_hostile_address_builder_or_language_changes_nothing():
    code = Code(language='"><script>alert(1)</script>', script="</code></pre><script>alert(1)</script>")
    assert faults(str(blocks_html((code,)))) == []
    target = Target(procedure_url=lambda code: "javascript:alert(1)")
    assert faults(str(markdown_html("[x](procedure:imp-001)", target))) == []


@pytest.mark.parametrize(
    "address",
    ["https://e.example", "http://e.example/a?b=c#d", "HTTPS://E.EXAMPLE/", "mailto:a@e.example", "tel:+33123456789",
     "procedure:imp-001",
     "procedure:imp-001#s2", "/procedures/imp-001", "media/a.png", "https://e.example/a@b"],
)  # fmt: skip
def test_honest_addresses(address):
    assert is_link(address)


@pytest.mark.parametrize(
    "address",
    ["", "javascript:alert(1)", "JAVASCRIPT:x", " javascript:x", "java\nscript:x", "data:text/html,x", "vbscript:x",
     "//e.example", "\\\\e.example",
     "/\\e.example", "https://a@e.example/", "https:e.example", "https:///e.example", "file:///x", "a/../../b",
     "/a\\b", "x:y", "procedure:A",
     "procedure:", "procedure:a#", "mailto:a", "tel:x", "%0ajavascript:x", "a%00b", "https://e.example\\@f.example",
     "blob:x"],
)  # fmt: skip
def test_dishonest_addresses(address):
    assert not is_link(address)
    assert not is_local(address)


# --- a real browser -------------------------------------------------------------------------------------------------

COUNTER = """
window.hits = 0;
for (const name of ["alert", "confirm", "prompt", "print"]) {
  window[name] = () => { try { window.top.hits += 1 } catch (error) { window.hits += 1 } };
}
"""
PROVOKE = """
async () => {
  const types = ["mouseover", "mouseenter", "pointerenter", "focus", "blur", "click", "toggle", "load", "error",
  "animationstart", "begin", "start"];
  for (const element of [...document.querySelectorAll("body *")]) {
    for (const type of types) element.dispatchEvent(new Event(type, {bubbles: false, cancelable: true}));
    if (element.tagName === "A") {
      const address = element.getAttribute("href") || element.getAttribute("xlink:href") || "";
      if (/^[\\s\\u0000-\\u0020]*javascript:/i.test(address) || element.protocol === "javascript:") window.hits += 1;
    }
  }
  await new Promise(done => setTimeout(done, 300));
  return window.hits;
}
"""


async def executions(browser, body: str) -> tuple[int, list[str]]:
    """How often something ran, and which addresses other than this page and its pictures were asked for."""
    asked: list[str] = []

    async def answer(route):
        address = route.request.url
        if address == "http://probe.example/":
            await route.fulfill(body=f"<!doctype html><meta charset=utf-8><body>{body}", content_type="text/html")
            return
        if not address.startswith("http://probe.example/media/"):
            asked.append(address)
        await route.abort()

    context = await browser.new_context()
    try:
        opened = await context.new_page()
        await opened.add_init_script(COUNTER)
        await opened.route("**/*", answer)
        await opened.goto("http://probe.example/", wait_until="load")
        return await opened.evaluate(PROVOKE), asked
    finally:
        await context.close()


@pytest.mark.browser
@pytest.mark.timeout(240)
async def test_nothing_runs_in_a_browser(browser):
    body = "\n".join(
        f"<section>{page(attempt, target)}</section>"
        for attempt in corpus.ATTEMPTS
        for target in (TARGETS[0], TARGETS[1])
    )
    assert len(body) > 100_000
    assert await executions(browser, body) == (0, [])


@pytest.mark.browser
async def test_the_counter_counts(browser):
    """The control: without the walls the same attempts do run, and do ask elsewhere."""
    assert (await executions(browser, "<img src=/media/x onerror=alert(1)>"))[0] >= 1
    ran = [attempt for attempt in corpus.HTML[8:17] if (await executions(browser, attempt))[0]]
    assert len(ran) >= 5, ran
    hits, asked = await executions(
        browser, "<link rel=stylesheet href=https://evil.example/x.css><a href='javascript:alert(1)'>x</a>"
    )
    assert hits >= 1
    assert asked == ["https://evil.example/x.css"]

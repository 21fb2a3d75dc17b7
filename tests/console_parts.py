"""Visiting pages in a real browser: whatever its console or the content security policy complains of is trouble."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field

# What the policy refuses, with its place: the console's own line says less.
REPORT = """
document.addEventListener("securitypolicyviolation", (event) => {
  const where = `${event.sourceFile || document.location}:${event.lineNumber}`;
  console.error(`refused by the policy: ${event.violatedDirective} ${event.blockedURI} ${where} ${event.sample}`);
});
"""
LOOKS = (("light", 1280, 900), ("dark", 1280, 900), ("light", 390, 844), ("dark", 390, 844))
"""Colour scheme, width, height."""

WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass(slots=True, kw_only=True)
class Visitor:
    """``await visit(path)`` goes there and waits until the page has settled."""

    page: object
    base: str
    trouble: list[str] = field(default_factory=list)

    async def visit(self, path: str, *, settle: int = 300) -> None:
        """``settle``: milliseconds in which scripts may still do something wrong."""
        before = len(self.trouble)
        await self.page.goto(self.base + path)
        await self.page.wait_for_timeout(settle)
        self.trouble[before:] = [f"{path}: {line}" for line in self.trouble[before:]]

    async def too_wide(self) -> int:
        """Pixels by which the page scrolls sideways."""
        return await self.page.evaluate(WIDER)


@asynccontextmanager
async def visitor(browser, server, client, *, scheme="light", width=1280, height=900):
    """With the cookies of a signed-in HTTP client."""
    size = {"width": width, "height": height}
    context = await browser.new_context(viewport=size, color_scheme=scheme)
    host = server.url.removeprefix("http://").partition(":")[0]
    cookies = [{"name": name, "value": value, "domain": host, "path": "/"} for name, value in client.cookies.items()]
    await context.add_cookies(cookies)
    await context.add_init_script(REPORT)
    page = await context.new_page()
    found = Visitor(page=page, base=server.url)
    page.on("pageerror", lambda error: found.trouble.append(str(error)))
    page.on("console", lambda line: found.trouble.append(line.text) if line.type == "error" else None)
    page.on("requestfailed", lambda request: _failed(found, request))
    try:
        yield found
    finally:
        await context.close()


def _failed(found: Visitor, request) -> None:
    """What is cut off by leaving the page is no failure."""
    if request.failure and "ERR_ABORTED" not in request.failure:
        found.trouble.append(f"{request.url}: {request.failure}")

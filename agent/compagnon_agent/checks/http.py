"""``http``: what the machine itself gets from a URL, directly (no proxy), with GET or HEAD only."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from email.message import Message
from http.client import HTTPMessage
from typing import IO

from ..looking import own_page
from ..protocol.wire import JSON
from .common import Observed, Question, Trouble

BODY_LIMIT = 1024 * 1024


class _StayHere(urllib.request.HTTPRedirectHandler):
    """A page of the machine itself must not send the agent out into the network: then it is the answer."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        if own_page(req.full_url) and not own_page(newurl):
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def observe(question: Question) -> Observed:
    request = urllib.request.Request(  # noqa: S310 - the key's pattern allows http and https only
        question.key, method=question.setting("method") or "GET", headers={"User-Agent": "compagnon-agent"}
    )
    try:
        with _opener(question).open(request, timeout=question.seconds(5.0)) as answer:
            return _observed(answer.status, answer.headers, answer.read(BODY_LIMIT))
    except urllib.error.HTTPError as answer:
        with answer:
            return _observed(answer.code, answer.headers, answer.read(BODY_LIMIT))
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "reason", None) or fault
        if isinstance(fault, TimeoutError) or isinstance(reason, TimeoutError):
            raise Trouble("no answer in time") from None
        raise Trouble(str(reason)[:300]) from None


def _opener(question: Question) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context()
    if question.flag("allow-insecure"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=context),
    ]
    handlers.append(_Stay() if question.flag("no-follow-redirects") else _StayHere())
    return urllib.request.build_opener(*handlers)


def _observed(status: int, headers: Message, body: bytes) -> Observed:
    lines: list[JSON] = list(body.decode("utf-8", "replace").splitlines())
    names: list[JSON] = [f"{name}: {value}" for name, value in headers.items()]
    return {"status": status, "body": lines, "headers": names}

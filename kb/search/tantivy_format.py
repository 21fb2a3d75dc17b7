"""The library's index as tantivy keeps it: fed with our own terms, so that both engines know the same words."""

from __future__ import annotations

import json
from dataclasses import fields
from importlib.metadata import version
from typing import Any

import tantivy

from kb.search import analysis
from kb.search.model import Document
from kb.search.whoosh_format import FACETS, FIELD_WEIGHTS, WORDS, Analysed, fields_of

VERSION = 1  # raise it with any change here: existing indexes are then rebuilt
LAYOUT = f"tantivy.{VERSION}.{analysis.VERSION}.{version('tantivy')}"
CODES = (*FACETS.values(), WORDS)


def schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("key", stored=True, tokenizer_name="raw", index_option="basic")
    builder.add_bytes_field("source", stored=True)
    for name in FIELD_WEIGHTS:
        builder.add_text_field(name, tokenizer_name="raw", index_option="position")
    for name in FACETS.values():
        builder.add_text_field(name, tokenizer_name="raw", index_option="basic", fast=True)
    builder.add_text_field(WORDS, tokenizer_name="raw", index_option="basic")
    return builder.build()


def written(document: Document) -> tantivy.Document:
    """The document as tantivy's writer takes it; the source is kept for snippets."""
    values = fields_of(document)
    made = tantivy.Document()
    made.add_text("key", document.key)
    made.add_bytes("source", json.dumps([getattr(document, each.name) for each in fields(Document)]).encode())
    for name in FIELD_WEIGHTS:
        if values[name]:
            made.add_pre_tokenized_text(name, _tokens(values[name]))
    for name in CODES:
        for value, _ in values[name]:
            made.add_text(name, value)
    return made


def read(found: tantivy.Document) -> Document:
    values: list[Any] = json.loads(bytes(found.get_first("source") or b""))
    names = [each.name for each in fields(Document)]
    named: Any = dict(zip(names, values, strict=True))
    for name, value in named.items():
        named[name] = tuple(value) if isinstance(value, list) else value
    return Document(**named)


def _tokens(analysed: Analysed) -> tantivy.PreTokenizedString:
    return tantivy.PreTokenizedString("", [tantivy.Token(term, position, 0, 0) for term, position in analysed])

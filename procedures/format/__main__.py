"""``python -m procedures.format FILE…``: what is to be mended in these files, with line numbers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from compagnon.i18n import Catalogues
from procedures.format.lint import lint
from procedures.format.parse import read
from procedures.format.problems import Finding
from procedures.format.rules.case import Known


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every file could be published, 1 when a finding blocks one, 2 when a file cannot be read."""
    options = _options().parse_args(arguments)
    try:
        texts = {path: path.read_bytes().decode("utf-8") for path in options.files}
    except (OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 2
    known = _known(list(texts.values())) if options.resolve else None
    translate = _translator(options.lang)
    blocked = False
    for path, text in texts.items():
        findings = lint(text, known=known)
        blocked |= any(finding.blocks for finding in findings)
        for finding in findings:
            if finding.blocks or options.advice:
                print(describe(path, finding, translate))
    return 1 if blocked else 0


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m procedures.format", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--lang", choices=("en", "fr"), default="en", help="language of the findings")
    parser.add_argument("--advice", action="store_true", help="also show what does not block publication")
    parser.add_argument(
        "--resolve", action="store_true", help="procedures and environments that are named must be among the files"
    )
    return parser


def _known(texts: Sequence[str]) -> Known:
    documents = [read(text).procedure for text in texts]
    codes = frozenset(document.id for document in documents)
    elements = frozenset(name for document in documents if document.desktop for name in document.desktop.ids)
    return Known(procedures=codes, environments=codes, elements=elements)


def _translator(language: str) -> Callable[[str], str]:
    if language == "en":
        return str
    catalogues = Catalogues(("procedures",))
    return lambda message: catalogues.gettext(language, message) if message else ""


def describe(path: Path, finding: Finding, translate: Callable[[str], str]) -> str:
    step = f" [{finding.step}]" if finding.step else ""
    said = f"{finding.say(translate)} → {finding.how_to_mend(translate)}"
    return f"{path}:{finding.line}:{finding.column}: {finding.severity} {finding.rule}{step}: {said}"


if __name__ == "__main__":
    sys.exit(main())

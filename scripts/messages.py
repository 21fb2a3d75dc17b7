"""Collect the texts to translate into each package's catalogue: ``messages.py [package …]``.

New msgids are added with an empty translation, those no longer used are taken out. ``--check`` changes nothing and says
what is not translated (exit 1).
"""

from __future__ import annotations

import argparse
import sys

from compagnon.i18n.catalogues import TRANSLATED
from compagnon.i18n.extract import problems, update

PACKAGES = ("compagnon", "kb", "procedures", "remote", "tickets")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("packages", nargs="*", help="only these packages")
    parser.add_argument("--check", action="store_true", help="change nothing, say what is missing")
    arguments = parser.parse_args()
    work = check if arguments.check else collect
    return max(work(package) for package in arguments.packages or PACKAGES)


def collect(package: str) -> int:
    for locale in TRANSLATED:
        added, gone = update(package, locale)
        print(f"{package} ({locale}): {added} added, {gone} taken out, {len(problems(package, locale))} to do")
    return 0


def check(package: str) -> int:
    found = [line for locale in TRANSLATED for line in problems(package, locale)]
    print("\n".join(found) or f"{package}: everything is translated.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""The procedure format: read, judge, write, show. See ``docs/reference/procedure-format.md``."""

from procedures.format.lint import lint, publishable
from procedures.format.manifest import manifest
from procedures.format.model import Procedure, Step
from procedures.format.parse import Draft, parse, read
from procedures.format.problems import Finding, FormatError, Severity
from procedures.format.render import canonical, digest, render
from procedures.format.rules.case import Known

__all__ = [
    "Draft",
    "Finding",
    "FormatError",
    "Known",
    "Procedure",
    "Severity",
    "Step",
    "canonical",
    "digest",
    "lint",
    "manifest",
    "parse",
    "publishable",
    "read",
    "render",
]

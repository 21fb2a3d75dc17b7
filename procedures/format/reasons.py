"""Reasons that come from below (libyaml, the agent's protocol) in plain English: listed so that they are translated."""

from __future__ import annotations

from compagnon.i18n import N_

YAML = (
    N_("mapping values are not allowed in this context"),
    N_("did not find expected ',' or '}'"),
    N_("did not find expected ',' or ']'"),
    N_("did not find expected key"),
    N_("did not find expected node content"),
    N_("did not find expected '-' indicator"),
    N_("did not find expected <document start>"),
    N_("could not find expected ':'"),
    N_("found character that cannot start any token"),
    N_("found unexpected end of stream"),
    N_("found unknown escape character"),
    N_("found a tab character that violates indentation"),
    N_("block sequence entries are not allowed in this context"),
    N_("control characters are not allowed"),
)

PARAMETERS = (
    N_("a value is needed"),
    N_("has no value"),
    N_("is not a parameter of this procedure"),
    N_("must be a host name"),
    N_("must be a package name"),
    N_("must be a service name"),
    N_("must be a user name"),
    N_("must be a whole number"),
    N_("must be an absolute path"),
    N_("must be an {version} address"),
    N_("must be at least {minimum}"),
    N_("must be at most {maximum}"),
    N_("must be one line without control characters"),
    N_("must be one of {choices}"),
    N_("must be yes or no"),
    N_("must have at least {minimum} characters"),
    N_("must have at most {maximum} characters"),
    N_("must not begin with a hyphen"),
)

PLACEMENTS = (
    N_("a placeholder must not stand inside quotes: leave the quotes out, it becomes one quoted word by itself"),
    N_("a placeholder must not stand inside a comment"),
    N_("a placeholder must not stand inside a here-document"),
    N_("a placeholder must not stand inside backticks: use $(…)"),
    N_("a placeholder must not stand inside an expansion"),
    N_("a placeholder must not follow a backslash or a dollar sign"),
    N_("a placeholder must be a word of its own in PowerShell"),
    N_("the script's quoting is too intricate to insert a value safely"),
    N_("placeholders are not supported in this shell"),
)

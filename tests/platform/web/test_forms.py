from enum import StrEnum

import pytest

from compagnon.errors import Invalid
from compagnon.i18n import use_locale
from compagnon.web.forms import Form


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


def test_text_is_one_trimmed_normalised_line() -> None:
    form = Form({"name": "  Caf\u0065\u0301 \n du   Port "})
    assert form.text("name") == "Café du Port"
    assert form.ok


@pytest.mark.parametrize("typed", ["", "   ", "x" * 21, "bell\x07", "nul\x00"])
def test_bad_text_is_refused_and_kept(typed: str) -> None:
    form = Form({"name": typed})
    assert form.text("name", limit=20) == ""
    assert form.error("name")
    assert form.value("name") == typed


def test_lines_keep_their_breaks() -> None:
    assert Form({"notes": "a\r\nb\tc\n"}).lines("notes") == "a\nb\tc"


@pytest.mark.parametrize("typed", ["", "x", "1.5", "11", "-1", "١", "9" * 30, "1_0"])
def test_integers_outside_bounds_are_refused(typed: str) -> None:
    form = Form({"level": typed})
    form.integer("level", minimum=0, maximum=10)
    assert not form.ok


def test_optional_numbers_may_be_absent() -> None:
    form = Form({"machine": ""})
    assert form.optional_identity("machine") is None
    assert form.optional_integer("other") is None
    assert form.ok


def test_zero_is_not_an_identity() -> None:
    form = Form({"machine": "0"})
    form.optional_identity("machine")
    assert form.error("machine")


def test_choices() -> None:
    form = Form({"size": "large", "bad": "huge"})
    assert form.choice("size", Size) is Size.LARGE
    assert form.choice("none", Size, default=Size.SMALL) is Size.SMALL
    form.choice("bad", Size)
    assert list(form.refusals) == ["bad"]


def test_repeated_fields() -> None:
    form = Form({"who": ["alice", "", "bruno"]})
    assert form.many("who") == ("alice", "bruno")
    assert form.values("who") == ("alice", "", "bruno")


def test_a_secret_is_read_as_typed_and_never_shown_again() -> None:
    form = Form({"password": " two  spaces "})
    assert form.secret("password") == " two  spaces "
    assert form.value("password") == ""


def test_moments_need_an_offset() -> None:
    form = Form({"good": "2026-11-23T08:00:00+01:00", "naive": "2026-11-23T08:00"})
    assert form.moment("good") is not None
    assert form.moment("naive") is None
    assert form.error("naive")


def test_the_first_refusal_of_a_field_is_kept_and_raised() -> None:
    form = Form({})
    form.refuse("name", "Please fill this in.")
    form.refuse("name", "This is too long.")
    with pytest.raises(Invalid, match="fill") as refused:
        form.check()
    assert refused.value.field == "name"


def test_a_services_refusal_is_shown_at_its_field_in_the_readers_language(french: None) -> None:
    form = Form({"email": "nobody"})
    form.refuse_with(Invalid("“{email}” is not an e-mail address.", field="email", email="nobody"))
    with use_locale("fr"):
        assert form.error("email") == "« nobody » n’est pas une adresse mail."


def test_initial_values_are_shown_until_something_is_typed() -> None:
    assert Form(initial={"name": "Ada", "none": None}).value("name") == "Ada"
    assert Form(initial={"none": None}).value("none") == ""
    assert Form({"name": ""}, initial={"name": "Ada"}).value("name") == ""


def test_a_flood_of_fields_is_cut_off() -> None:
    form = Form({f"f{number}": "x" for number in range(2000)})
    assert form.value("f499") == "x"
    assert form.value("f500") == ""

import pytest

from compagnon.directory.model import NewSite, check_number, check_site, departement_of, digits_of, terms
from compagnon.errors import Invalid


@pytest.mark.parametrize(
    ("said", "digits"),
    [
        ("06 12 34 56 78", "0612345678"),
        ("06.12.34.56.78", "0612345678"),
        ("+33 6 12 34 56 78", "0612345678"),
        ("+33 (0)6 12 34 56 78", "0612345678"),
        ("0033612345678", "0612345678"),
        ("+33(0)612345678", "0612345678"),
        ("+44 20 7946 0018", "442079460018"),
        ("3615", "3615"),
    ],
)
def test_however_a_number_is_written_it_is_the_same(said: str, digits: str) -> None:
    assert digits_of(said) == digits
    assert check_number(said)[1] == digits


@pytest.mark.parametrize("said", ["", "12", "call me", "+", "1" * 41, "06 12 <b>"])
def test_what_is_no_number(said: str) -> None:
    with pytest.raises(Invalid):
        check_number(said)


@pytest.mark.parametrize(
    ("postcode", "departement"),
    [
        ("35000", "35"),
        ("01000", "01"),
        ("20000", "2A"),
        ("20200", "2B"),
        ("97400", "974"),
        ("98800", "988"),
        ("B-1000", ""),
    ],
)
def test_the_departement_of_a_postcode(postcode: str, departement: str) -> None:
    assert departement_of(postcode) == departement


def test_a_site_needs_a_town_and_a_departement() -> None:
    assert check_site(NewSite(town=" Saint-Malo ", postcode="35400")).departement == "35"
    for bad in (NewSite(town="", postcode="35400"), NewSite(town="Bruxelles"), NewSite(town="x", departement="99")):
        with pytest.raises(Invalid):
            check_site(bad)


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("06 12", ("0612",)),
        ("+33 6", ("06",)),
        ("le fournil", ("le", "fournil")),
        ("saint-malo", ("saint", "malo")),
        ("jean@exemple.fr", ("jean@exemple.fr",)),
        ("d'étoile", ("étoile",)),
        ("a b c d e f g", ("a", "b", "c", "d", "e")),
        ("06 12 dupont 35", ("0612", "dupont", "35")),
        ("@ jean", ("jean",)),
        ("@", ()),
        ("  ", ()),
        ("%_", ()),
        ("()", ()),
        ("\x00", ()),
        ("x" * 5000, ("x" * 100,)),
    ],
)
def test_what_a_search_looks_for(typed: str, found: tuple[str, ...]) -> None:
    assert terms(typed) == found

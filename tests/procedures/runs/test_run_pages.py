"""The pages of runs over a real server: start, follow by hand, hand over, watch, evidence, report."""

from __future__ import annotations

import re

import pytest

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x02\x00\x00\x00\x90wS\xde\x00\x00\x00\x0cIDATx"
    b"\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\r\xefF\xb8\x00\x00\x00\x00IEND\xaeB`\x82"
)


@pytest.fixture
async def run(server, cast, client_for, procedure_text, environment_text):
    """Alice's run without a machine, and her client."""
    library = server.services.procedures.library
    await library.import_text(environment_text, cast.ada, publish=True)
    await library.import_text(procedure_text, cast.ada, publish=True)
    alice = await client_for(cast.alice)
    answer = await alice.post("/procedures/tst-001/start", data={"parameter-path": "/srv/témoin"})
    assert answer.status_code == 303, answer.text
    return alice, answer.headers["location"]


def revision(html: str) -> str:
    found = re.search(r'name="revision" value="(\d+)"', html)
    assert found
    return found.group(1)


async def act(client, url, outcome, **more):
    page = (await client.get(url)).text
    return await client.post(f"{url}/outcome", data={"revision": revision(page), "outcome": outcome, **more})


async def test_a_run_is_followed_to_its_end_and_printed(run):
    alice, url = run
    page = (await alice.get(url)).text
    assert "Demandez si le poste est allumé" in page
    assert "Voyez-vous le bureau" in page
    await act(alice, url, "done")
    page = (await alice.get(url)).text
    assert "touch &#39;/srv/témoin&#39;" in page  # the parameter, as one quoted word
    await act(alice, url, "done")
    await alice.post(f"{url}/notes", data={"body": "voyant vert <script>alert(1)</script>"})
    await alice.post(f"{url}/pictures", files={"picture": ("x.png", PNG, "text/html")}, data={"caption": "le voyant"})
    await act(alice, url, "done")
    page = (await alice.get(url)).text
    assert "<script>alert" not in page
    report = await alice.get(f"{url}/report")
    run_id = int(url.rsplit("/", 1)[1])
    assert report.status_code == 200
    assert "voyant vert" in report.text
    assert re.search(r"[0-9a-f]{64}", report.text)
    picture = await alice.get(f"/runs/{run_id}/evidence/2")
    assert (picture.content, picture.headers["content-type"]) == (PNG, "image/png")
    assert picture.headers["x-content-type-options"] == "nosniff"


async def test_a_bad_parameter_comes_back_with_its_reason(run):
    alice, _ = run
    answer = await alice.post("/procedures/tst-001/start", data={"parameter-path": "relatif"})
    assert answer.status_code == 422
    assert 'value="relatif"' in answer.text
    assert "field-error" in answer.text


async def test_the_second_of_two_acts_is_told_and_changes_nothing(run):
    alice, url = run
    page = (await alice.get(url)).text
    for _ in range(2):
        answer = await alice.post(f"{url}/outcome", data={"revision": revision(page), "outcome": "done"})
        assert answer.status_code == 303
    page = (await alice.get(url)).text
    assert "toast-warning" in page
    assert 'data-step="2"' in page or "s2" in page
    assert (await alice.get(f"{url}/fragment")).text.count("outcome-done") == 1


async def test_others_watch_and_may_take_over(run, server, cast, client_for):
    alice, url = run
    bruno = await client_for(cast.bruno)
    page = (await bruno.get(url)).text
    assert 'name="outcome"' not in page
    refused = await bruno.post(f"{url}/outcome", data={"revision": "1", "outcome": "done"})
    assert refused.status_code == 303
    page = (await alice.get(url)).text
    data = {"revision": revision(page), "to": str(cast.bruno.id)}
    assert (await alice.post(f"{url}/hand-over", data=data)).status_code == 303
    assert 'name="outcome"' in (await bruno.get(url)).text
    assert 'name="outcome"' not in (await alice.get(url)).text


async def test_a_failed_step_without_a_way_back_offers_what_to_do(run):
    alice, url = run
    await act(alice, url, "failed")
    page = (await alice.get(url)).text
    assert "notice-danger" in page
    answer = await act(alice, url, "skipped", justification="le poste est allumé, on le voit")
    assert answer.status_code == 303
    assert "outcome-skipped" in (await alice.get(url)).text


async def test_giving_up_ends_it(run):
    alice, url = run
    page = (await alice.get(url)).text
    await alice.post(f"{url}/abandon", data={"revision": revision(page), "reason": "le client rappellera"})
    page = (await alice.get(url)).text
    assert "le client rappellera" in page
    assert 'name="outcome"' not in page


BAD = [
    ("outcome", {"outcome": "nonsense", "revision": "1"}),
    ("outcome", {"outcome": "done"}),
    ("outcome", {"outcome": "done", "revision": "99999999999999999999"}),
    ("ask", {"phase": "execute", "revision": "1"}),
    ("notes", {"body": ""}),
    ("notes", {"body": "x", "kind": "picture"}),
    ("attempts/not-a-uuid/again", {}),
    ("hand-over", {"revision": "1", "to": "x"}),
    ("abandon", {"revision": "1", "reason": ""}),
    ("pictures", {"picture": "not a file"}),
]


async def test_bad_input_is_a_refusal_never_a_fault(run):
    alice, url = run
    for path, data in BAD:
        answer = await alice.post(f"{url}/{path}", data=data)
        assert answer.status_code in (303, 404, 422), (path, data)

"""The optional re-ranker, over a tiny model made here: off without a folder, bounded, never louder than the words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compagnon.settings import Settings, SettingsError
from kb.search import reranking
from kb.search.engine import Ranked
from kb.search.model import Document
from kb.search.reranking import ByMeaning, reranker
from kb.search.static_model import ModelError, StaticModel

WORDS = {"imprimante": 0, "bourrage": 1, "papier": 2, "reseau": 3, "wi": 4, "##fi": 5, "coince": 6}
VECTORS = np.array([[1, 0, 0], [0.8, 0.6, 0], [0.6, 0.8, 0], [0, 0, 1], [0, 0, 1], [0, 0, 1], [0.7, 0.7, 0]], "<f4")


def safetensors(path: Path, **tensors: Any) -> None:
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64", "float64": "F64"}
    header: dict[str, Any] = {"__metadata__": {"made": "here"}}
    at = 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": kinds[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(array.tobytes() for array in tensors.values()))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tokenizer = {
        "normalizer": {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
        "model": {"type": "WordPiece", "vocab": WORDS, "unk_token": "[UNK]", "continuing_subword_prefix": "##"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    safetensors(tmp_path / "model.safetensors", embeddings=VECTORS)
    return tmp_path


def ranked(*titles: str, step: float = 0.1) -> list[Ranked]:
    return [
        Ranked(document=Document(kind="article", id=str(n), title=title, url="/"), score=10 - n * step)
        for n, title in enumerate(titles)
    ]


def test_without_a_folder_there_is_none() -> None:
    assert reranker(None) is None
    assert Settings.load({}).rerank_model is None


def test_words_are_read_whole_or_in_pieces(folder: Path) -> None:
    model = StaticModel(folder)
    assert model.vector("Réseau") == pytest.approx([0, 0, 1])
    assert model.vector("WIFI") == pytest.approx([0, 0, 1])
    assert not model.vector("xylophone ☎").any()
    assert not model.vector("").any()
    assert float(np.linalg.norm(model.vector("imprimante papier " * 9_000))) == pytest.approx(1)


def test_a_unigram_vocabulary_is_cut_the_most_probable_way(tmp_path: Path) -> None:
    pieces = [["<unk>", 0.0], ["▁im", -5.0], ["primante", -5.0], ["▁imprimante", -4.0], ["▁", -2.0], ["s", -3.0]]
    tokenizer = {"normalizer": None, "model": {"type": "Unigram", "vocab": pieces, "unk_id": 0}}
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    safetensors(tmp_path / "model.safetensors", embeddings=np.eye(6, dtype="<f4"))
    model = StaticModel(tmp_path)
    assert np.flatnonzero(model.vector("imprimante")).tolist() == [3]
    assert np.flatnonzero(model.vector("imprimantes")).tolist() == [3, 5]
    assert np.flatnonzero(model.vector("imprimante☎")).tolist() == [3]


def test_weights_and_rows_of_their_own_are_used(folder: Path) -> None:
    mapping = np.array([3, 1, 2, 0, 4, 5, 6], "<i8")
    weights = np.ones(7, "<f4")
    safetensors(folder / "model.safetensors", embeddings=VECTORS.astype("<f2"), mapping=mapping, weights=weights * 2)
    assert StaticModel(folder).vector("imprimante") == pytest.approx([0, 0, 1])


def test_what_is_about_the_same_moves_up_among_equals(folder: Path) -> None:
    found = reranker(folder)
    assert found is not None
    items = ranked("réseau wifi", "papier coincé")
    again = found.reranked("bourrage imprimante", items)
    assert [item.document.title for item in again] == ["papier coincé", "réseau wifi"]
    assert again[0].score > items[0].score


def test_a_far_better_text_score_stays_first(folder: Path) -> None:
    items = ranked("réseau wifi", "papier coincé", step=6)
    found = ByMeaning(StaticModel(folder)).reranked("bourrage imprimante", items)
    assert [item.document.title for item in found] == ["réseau wifi", "papier coincé"]


def test_a_question_that_the_model_does_not_know_changes_nothing(folder: Path) -> None:
    items = ranked("papier", "réseau")
    assert ByMeaning(StaticModel(folder)).reranked("0x80070005", items) == items
    assert ByMeaning(StaticModel(folder)).reranked("papier", []) == []


def test_only_the_best_are_ranked_anew_and_few_vectors_are_kept(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reranking, "TOP", 2)
    monkeypatch.setattr(reranking, "KEPT", 1)
    found = ByMeaning(StaticModel(folder))
    again = found.reranked("papier", ranked("réseau", "papier", "bourrage"))
    assert [item.document.title for item in again] == ["papier", "réseau", "bourrage"]
    assert len(found._known) == 1


def test_a_document_that_changed_is_read_again(folder: Path) -> None:
    found = ByMeaning(StaticModel(folder))
    first = found.reranked("papier", ranked("réseau"))[0].score
    assert found.reranked("papier", ranked("papier"))[0].score > first


@pytest.mark.parametrize("damage", ["no folder", "no tokenizer", "text", "no vectors", "short", "size"])
def test_a_folder_that_holds_no_model_is_said_in_a_sentence(folder: Path, damage: str) -> None:
    if damage == "no folder":
        folder = folder / "nothing"
    elif damage == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif damage == "text":
        (folder / "tokenizer.json").write_text("[]")
    elif damage == "no vectors":
        safetensors(folder / "model.safetensors", other=VECTORS)
    elif damage == "short":
        content = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(content[:-20])
    else:
        (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ModelError):
        StaticModel(folder)
    with pytest.raises(SettingsError, match="COMPAGNON_RERANK_MODEL"):
        reranker(folder)

"""Static word vectors from a local folder: ``tokenizer.json`` (WordPiece or Unigram) and ``model.safetensors``.

The layout of model2vec's models (a text is the mean of its tokens' vectors). Both files are plain data and are read
here, without that package and the network client that comes with it: nothing is ever downloaded.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
MAX_TEXT = 4_000  # characters of a text that are read
MAX_WORD = 100  # characters of a word
MAX_HEADER = 10_000_000  # bytes
_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "I32": "<i4", "I64": "<i8"}
_WORDS = re.compile(r"[^\W_]+|[^\w\s]|_")
_MARK = "▁"  # what begins a word in a Unigram vocabulary


class ModelError(Exception):
    """The folder holds no model that can be used. The text says why."""


class StaticModel:
    """Turns texts into unit vectors. The vectors stay on disk and are mapped into memory. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelError."""
        try:
            tokenizer = json.loads((folder / "tokenizer.json").read_text("utf-8"))
            tensors = _tensors(folder / "model.safetensors")
            self._vectors = tensors["embeddings"]
            self._weights = tensors.get("weights")
            self._rows = tensors.get("mapping")
            self._read = _reader(tokenizer)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(f"{folder} holds no static embedding model ({type(error).__name__}: {error})") from None
        if self._vectors.ndim != 2:
            raise ModelError(f"{folder}: the embeddings are no table")

    def vector(self, text: str) -> Vectors:
        """The mean of the tokens' vectors, of length 1; zeros for a text without any known token."""
        tokens = np.array(self._read(text[:MAX_TEXT]), np.int64)
        if self._rows is not None:
            tokens = self._rows[tokens[tokens < len(self._rows)]]
        tokens = tokens[tokens < len(self._vectors)]
        if not len(tokens):
            return np.zeros(self._vectors.shape[1], np.float32)
        rows = self._vectors[tokens].astype(np.float32)
        if self._weights is not None:
            rows *= self._weights[tokens].astype(np.float32)[:, None]
        mean: Vectors = rows.mean(axis=0)
        length = float(np.linalg.norm(mean))
        return mean / np.float32(length) if length else mean


def _tensors(path: Path) -> dict[str, Any]:
    """The arrays of a safetensors file: a length, a JSON header, raw little-endian numbers."""
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        if size > MAX_HEADER:
            raise ValueError("the header is too long")
        header = json.loads(file.read(size))
    found = {}
    for name, about in header.items():
        if name != "__metadata__":
            start, end = about["data_offsets"]
            kind = np.dtype(_TYPES[about["dtype"]])
            if (end - start) != kind.itemsize * int(np.prod(about["shape"])):
                raise ValueError(f"{name} has not the size that it says")
            shape = tuple(about["shape"])
            found[name] = np.memmap(path, kind, "r", 8 + size + start, shape) if end > start else np.empty(shape, kind)
    return found


def _reader(tokenizer: Mapping[str, Any]) -> Callable[[str], list[int]]:
    model = tokenizer["model"]
    normal = _normaliser(json.dumps(tokenizer.get("normalizer") or {}))
    if model.get("type") == "WordPiece" or isinstance(model["vocab"], dict):
        return _WordPieces(model, normal).read
    return _Pieces(model, normal).read


def _normaliser(described: str) -> Callable[[str], str]:
    lower = '"lowercase": true' in described or '"Lowercase"' in described
    bare = '"strip_accents": true' in described or '"StripAccents"' in described
    bare = bare or ("BertNormalizer" in described and lower and '"strip_accents": false' not in described)

    def normal(text: str) -> str:
        text = unicodedata.normalize("NFKC", text)
        text = text.lower() if lower else text
        if bare:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        return text

    return normal


class _WordPieces:
    """The longest known beginning of each word, then the longest continuation, and so on (BERT's way)."""

    def __init__(self, model: Mapping[str, Any], normal: Callable[[str], str]) -> None:
        self._vocabulary: Mapping[str, int] = model["vocab"]
        self._prefix = model.get("continuing_subword_prefix", "##")
        self._normal = normal
        self._cached = lru_cache(maxsize=8_192)(self._pieces)

    def read(self, text: str) -> list[int]:
        return [token for word in _WORDS.findall(self._normal(text)) for token in self._cached(word[:MAX_WORD])]

    def _pieces(self, word: str) -> tuple[int, ...]:
        """Empty for a word that cannot be put together."""
        found: list[int] = []
        at = 0
        while at < len(word):
            prefix = self._prefix if at else ""
            ends = range(len(word), at, -1)
            end = next((end for end in ends if prefix + word[at:end] in self._vocabulary), 0)
            if not end:
                return ()
            found.append(self._vocabulary[prefix + word[at:end]])
            at = end
        return tuple(found)


class _Pieces:
    """The most probable way to cut each word into known pieces (Kudo 2018, unigram language model)."""

    def __init__(self, model: Mapping[str, Any], normal: Callable[[str], str]) -> None:
        self._vocabulary = {str(piece): (number, float(score)) for number, (piece, score) in enumerate(model["vocab"])}
        self._longest = max((len(piece) for piece in self._vocabulary), default=0)
        self._normal = normal
        self._cached = lru_cache(maxsize=8_192)(self._best)

    def read(self, text: str) -> list[int]:
        return [token for word in self._normal(text).split() for token in self._cached(_MARK + word[:MAX_WORD])]

    def _best(self, word: str) -> tuple[int, ...]:
        """Letters that no piece holds are left out."""
        ways: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for end in range(1, len(word) + 1):
            ways.append(max(self._ways(word, end, ways)))
        return ways[-1][1]

    def _ways(
        self, word: str, end: int, ways: Sequence[tuple[float, tuple[int, ...]]]
    ) -> list[tuple[float, tuple[int, ...]]]:
        score, tokens = ways[end - 1]
        found = [(score - 100.0, tokens)]
        for start in range(max(0, end - self._longest), end):
            if piece := self._vocabulary.get(word[start:end]):
                found.append((ways[start][0] + piece[1], (*ways[start][1], piece[0])))
        return found

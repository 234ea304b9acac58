"""Domains of text as tokens: read, split by documents, tokenised with byte pairs trained on the text itself."""

from __future__ import annotations

import json
import os
import random
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.data.encoding import open_text
from workers.data.jsonl import read_jsonl
from workers.errors import InvalidInput
from workers.proxies.spec import CorpusSpec

SUFFIXES = (".txt", ".md", ".jsonl")
SPLITS = ("train", "validation", "test")
HELD_OUT = 0.1  # share of the documents for validation, and as many for test, where no files name the splits
END = 0  # token after each document
BYTES = 257  # vocabulary of plain bytes: END and 256 bytes
_TOKENIZER_TEXT = 4_000_000  # characters of each domain that the byte pairs are trained on
Tokens = NDArray[np.int32]
Encode = Callable[[Sequence[str]], list[list[int]]]  # texts to tokens


@dataclass(frozen=True)
class Documents:
    """Tokens `[n]` of one split of one domain, documents one after another; `starts [documents + 1]`."""

    tokens: Tokens
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def keep(self, chosen: Sequence[int]) -> Documents:
        """Some of the documents, in their order."""
        pieces = [self.tokens[self.starts[n] : self.starts[n + 1]] for n in sorted(chosen)]
        lengths = [len(piece) for piece in pieces]
        return Documents(np.concatenate(pieces), np.cumsum([0, *lengths]))


@dataclass(frozen=True)
class Corpus:
    """Every domain's splits."""

    vocabulary: int
    splits: Mapping[str, Mapping[str, Documents]]  # by domain, by split

    def select(self, chosen: Mapping[str, Sequence[int]]) -> Corpus:
        """Train on some documents of each domain only."""
        kept = {
            domain: {**splits, "train": splits["train"].keep(chosen[domain])} for domain, splits in self.splits.items()
        }
        return replace(self, splits=kept)


def load_corpus(spec: CorpusSpec, seed: int, cache: Path) -> Corpus:
    """Tokenise once per machine: later calls, in any process, map the same files. Raises InvalidInput."""
    texts = {domain: read_domain(domain, Path(path), seed) for domain, path in spec.domains.items()}
    digest = sha256(json.dumps([spec.vocabulary, texts], sort_keys=True).encode()).hexdigest()[:32]
    folder = cache / "corpora" / digest
    if not folder.is_dir():
        _store(_tokenise(texts, spec.vocabulary), folder)
    return _open(folder, spec)


def read_domain(domain: str, path: Path, seed: int) -> dict[str, list[str]]:
    """The documents of a domain by split. Raises InvalidInput for `corpus.domains.<domain>`."""
    field = f"corpus.domains.{domain}"
    files = text_files(path)
    if not files:
        raise InvalidInput(field, str(path), f"a file or a folder of files ending in {', '.join(SUFFIXES)}")
    named = {file.stem: file for file in files if file.stem in SPLITS}
    if "train" in named and "validation" in named:
        splits = {split: documents(named[split], field) for split in SPLITS if split in named}
        splits.setdefault("test", splits["validation"])
    else:
        splits = _split([document for file in files for document in documents(file, field)], seed)
    empty = [split for split in SPLITS if not splits[split]]
    if empty:
        raise InvalidInput(field, f"no documents for {', '.join(empty)}", "text with at least ten documents")
    return splits


def text_files(path: Path) -> list[Path]:
    """The text files of a domain, in the order of their names."""
    if path.is_file():
        return [path] if path.suffix in SUFFIXES else []
    return sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in SUFFIXES)


def training_bytes(path: Path) -> int:
    """Bytes of a domain's text that can be trained on: of its `train` file where splits are named, else of all."""
    files = text_files(path)
    named = [file for file in files if file.stem == "train"]
    return sum(file.stat().st_size for file in (named or files))


def documents(file: Path, field: str) -> list[str]:
    try:
        if file.suffix.lower() == ".jsonl":
            found = [str(text) for text in read_jsonl(file, ["text"], field).values["text"]]
        else:
            with open_text(file, field) as stream:
                found = stream.read().split("\n\n")
    except OSError as error:
        raise InvalidInput(field, str(file), "a readable file", f"{field}: {file}: {error}") from error
    return [document.strip() for document in found if document.strip()]


def _split(documents: list[str], seed: int) -> dict[str, list[str]]:
    shuffled = list(documents)
    random.Random(seed).shuffle(shuffled)
    held = int(HELD_OUT * len(shuffled))
    return {"train": shuffled[2 * held :], "validation": shuffled[:held], "test": shuffled[held : 2 * held]}


def _tokenise(texts: Mapping[str, Mapping[str, Sequence[str]]], vocabulary: int) -> dict[str, dict[str, Documents]]:
    encode = _byte_encoder() if vocabulary == BYTES else _pair_encoder(texts, vocabulary)
    return {
        domain: {split: _joined(encode(documents)) for split, documents in splits.items()}
        for domain, splits in texts.items()
    }


def _joined(documents: Sequence[Sequence[int]]) -> Documents:
    lengths = [len(document) + 1 for document in documents]
    tokens = np.concatenate([np.array([*document, END], dtype=np.int32) for document in documents])
    return Documents(tokens, np.cumsum([0, *lengths]))


def _byte_encoder() -> Encode:
    return lambda documents: [[byte + 1 for byte in document.encode()] for document in documents]


def _pair_encoder(texts: Mapping[str, Mapping[str, Sequence[str]]], vocabulary: int) -> Encode:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<end>"],  # the first special token gets the number END
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    sample = ("\n\n".join(splits["train"])[:_TOKENIZER_TEXT] for splits in texts.values())
    tokenizer.train_from_iterator(sample, trainer)
    return lambda documents: [encoding.ids for encoding in tokenizer.encode_batch(list(documents))]


def _store(corpus: Mapping[str, Mapping[str, Documents]], folder: Path) -> None:
    draft = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
    draft.mkdir(parents=True)
    for domain, splits in corpus.items():
        for split, documents in splits.items():
            np.save(draft / f"{domain}.{split}.tokens.npy", documents.tokens)
            np.save(draft / f"{domain}.{split}.starts.npy", documents.starts)
    try:
        os.rename(draft, folder)
    except OSError:  # another process was faster; its copy holds the same tokens
        shutil.rmtree(draft)


def _open(folder: Path, spec: CorpusSpec) -> Corpus:
    def documents(domain: str, split: str) -> Documents:
        tokens = np.load(folder / f"{domain}.{split}.tokens.npy", mmap_mode="r")
        return Documents(tokens, np.load(folder / f"{domain}.{split}.starts.npy"))

    splits = {domain: {split: documents(domain, split) for split in SPLITS} for domain in spec.domains}
    return Corpus(spec.vocabulary, splits)

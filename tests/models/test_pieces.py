"""Tables from words to tokens: the tokens of a sentence are those of its words."""

import numpy as np
import pytest
import torch

from ceae_core.corpora import Vocabulary, oracle
from ceae_core.corpora.vocabulary import build
from ceae_core.errors import CeaeError
from ceae_core.models import pieces
from ceae_core.models.pieces import NONE, Pieces, Subwords

SENTENCES = [*oracle.default().sample(60, 5).sentences, ("don't", "n't", "naïve", "<unk>", "$", "3.50", "…", "Œuvre"),
             ("a-b", "''", "``", "'s", "_UNK", "中文", "x" * 40)]


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return build(SENTENCES, "bn")


@pytest.fixture(scope="module")
def bert(tiny_bert):
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(tiny_bert)


@pytest.fixture(scope="module")
def gpt2(tiny_gpt2):
    from transformers import AutoTokenizer
    return AutoTokenizer.from_pretrained(tiny_gpt2)


def batch(vocabulary: Vocabulary, sentences: list) -> torch.Tensor:
    rows = [vocabulary.encode(s) for s in sentences]
    width = max(map(len, rows)) + 2
    return torch.tensor([row + [vocabulary.pad] * (width - len(row)) for row in rows])


def test_word_pieces_of_a_sentence_are_those_of_its_words(vocabulary: Vocabulary, bert):
    """With [CLS] and [SEP] around, [UNK] for the unknown word, and padding that is not counted."""
    tokens, lengths = Pieces(pieces.table(pieces.word_pieces(vocabulary, bert, "test")))(batch(vocabulary, SENTENCES))
    for sentence, row, length in zip(SENTENCES, tokens.tolist(), lengths.tolist(), strict=True):
        text = " ".join("[UNK]" if word == "<unk>" else word for word in sentence)
        assert row[:length] == bert(text).input_ids and not any(row[length:])
    assert int(lengths.max()) == tokens.size(1) > max(map(len, SENTENCES)) + 2


def test_an_empty_sentence_is_its_start_and_end(vocabulary: Vocabulary, bert):
    tokens, lengths = Pieces(pieces.table(pieces.word_pieces(vocabulary, bert, "test")))(batch(vocabulary, [()]))
    assert tokens.tolist() == [bert("").input_ids] and lengths.tolist() == [2]


def test_byte_pairs_of_a_sentence_are_those_of_its_words(vocabulary: Vocabulary, gpt2):
    """Each word with the space before it, also the first; then back to the words."""
    start, end = len(gpt2), len(gpt2) + 1
    made = Pieces(pieces.table(pieces.byte_pairs(vocabulary, gpt2, start, end, "test")))
    symbols = Subwords(*pieces.spellings(gpt2, start), start, end)
    tokens, lengths = made(batch(vocabulary, SENTENCES))
    for sentence, row, length in zip(SENTENCES, tokens.tolist(), lengths.tolist(), strict=True):
        assert row[:length] == [start, *gpt2(f" {' '.join(sentence)}").input_ids, end]
        assert symbols.decode(row[1:]) == sentence


def test_random_words_keep_their_byte_pairs(gpt2):
    """Any printable letters, not only those of reviews: the tokenizer never looks across a space."""
    draw = np.random.default_rng(3)
    letters = np.array([chr(i) for i in [*range(33, 127), *range(192, 400), 0x3042, 0x1F600]])
    sentences = [tuple("".join(draw.choice(letters, draw.integers(1, 7))) for _ in range(6)) for _ in range(40)]
    words = build(sentences, "bn")
    start, end = len(gpt2), len(gpt2) + 1
    made = Pieces(pieces.table(pieces.byte_pairs(words, gpt2, start, end, "test")))
    tokens, lengths = made(batch(words, sentences))
    for sentence, row, length in zip(sentences, tokens.tolist(), lengths.tolist(), strict=True):
        assert row[1:length - 1] == gpt2(f" {' '.join(sentence)}").input_ids


def test_words_end_at_the_end_symbol_and_at_spaces(gpt2):
    count = len(gpt2)
    symbols = Subwords(*pieces.spellings(gpt2, count), count, count + 1)
    assert symbols.decode([*gpt2(" good food\n \tagain").input_ids, count + 1, *gpt2(" not this").input_ids]) == (
        "good", "food", "again")
    assert symbols.decode([count + 1]) == () and symbols.bos == symbols.pad == count
    broken = gpt2(" é", add_special_tokens=False).input_ids[:-1]            # half of a letter of two bytes
    assert "�" in symbols.text(broken) or symbols.text(broken).isspace()


def test_rows_of_a_table_are_filled_up():
    made = Pieces(pieces.table([[], [7], [3, 4]]))
    assert made.table.tolist() == [[NONE, NONE], [7, NONE], [3, 4]]
    tokens, lengths = made(torch.tensor([[2, 1, 2, 0], [1, 0, 0, 0]]))
    assert tokens.tolist() == [[3, 4, 7, 3, 4], [7, 0, 0, 0, 0]] and lengths.tolist() == [5, 1]


def test_a_tokenizer_of_another_kind_is_refused(vocabulary: Vocabulary, bert, gpt2):
    with pytest.raises(CeaeError, match=r"lacks \[CLS\]"):
        pieces.word_pieces(vocabulary, gpt2, "encoder x")
    with pytest.raises(CeaeError, match="byte-level"):
        pieces.byte_pairs(vocabulary, bert, len(bert), len(bert) + 1, "decoder x")

"""Corpora: the table of published ones, own text, the oracle corpus, vocabularies and batches.

`batching` needs torch and is imported where it is used: `from ceae_core.corpora import batching`.
"""
from ceae_core.corpora import oracle, table
from ceae_core.corpora.corpus import Corpus, Split, load
from ceae_core.corpora.fetch import fetch
from ceae_core.corpora.table import describe
from ceae_core.corpora.vocabulary import Vocabulary

__all__ = ["Corpus", "Split", "Vocabulary", "describe", "fetch", "load", "oracle", "table"]

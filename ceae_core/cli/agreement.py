"""`ceae agreement`: do the codes of a run find the same sentences alike as a pretrained encoder does?"""

import argparse

from ceae_core.cli.output import show, table
from ceae_core.cli.parser import Command
from ceae_core.errors import CeaeError

BESIDE = {"words": "words that both have", "tf-idf": "the same, weighed by TF-IDF", "length": "likeness in length"}


def add(command: Command) -> None:
    """Put this command into the parser."""
    made = command("agreement", agree, "correlate similarities of sentences by a run with those by an encoder")
    made.add_argument("name", metavar="RUN")
    made.add_argument("--encoder", default="minilm", metavar="PATH_OR_NAME",
                      help="folder or hub name of a BERT-type encoder (default: minilm, which is built in)")
    made.add_argument("--layer", default="last", help="its layer: last (default), or a number; 0: word embeddings")
    made.add_argument("--pooling", default="mean", help="mean (default), cls or pooler")
    made.add_argument("--similarity", default="inner", help="of codes: inner (default) or cosine")
    made.add_argument("--encoder-similarity", default="inner", help="of the encoder's vectors, likewise")
    made.add_argument("--sentences", type=int, help="of the test split (default: 1000, or all if there are fewer)")
    made.add_argument("--draws", type=int, default=None, help="resamples of the sentences behind an interval")
    made.add_argument("--seed", type=int, default=1, help="which sentences and resamples")
    made.add_argument("--baselines", action="store_true", help="also what shared words and lengths alone agree")
    made.add_argument("--data", metavar="DIR", help="folder where the files of its corpus are now")


def agree(options: argparse.Namespace) -> None:
    """Pearson, Spearman and Kendall over all pairs of sentences, with intervals."""
    from ceae_core.experiments.agreement import Study
    from ceae_core.measure.agreement import DRAWS, LEVEL, SIMILARITIES
    from ceae_core.measure.sentence_vectors import Reading
    from ceae_core.runs import Store
    for name, value in (("--similarity", options.similarity), ("--encoder-similarity", options.encoder_similarity)):
        if value not in SIMILARITIES:
            raise CeaeError(f"{name}: unknown value {value!r}; choose {' or '.join(SIMILARITIES)}")
    if options.draws is not None and options.draws < 1:
        raise CeaeError(f"--draws: must be at least 1, not {options.draws}")
    how = Reading.parse(options.layer, options.pooling)
    store = Store(options.runs)
    run = store.find(options.name)
    run.require("are no codes to compare")
    study = Study(run.spec, encoder=options.encoder, how=how, encoder_similarity=options.encoder_similarity,
                  sentences=options.sentences, seed=options.seed, draws=options.draws or DRAWS, data=options.data,
                  store=store)
    found = {"codes": study.of_run(run.spec, options.similarity)}
    found |= {kind: study.of_words(kind) for kind in BESIDE if options.baselines}
    content = found["codes"]
    made, asked = content["result"], content["parameters"]
    result = {"run": run.id, "corpus": run.spec.corpus, "sentences": made["sentences"], "pairs": made["pairs"],
              "seed": asked["seed"], "similarity": asked["similarity"],
              "encoder": {"name": asked["encoder"], "sha256": asked["weights"], "layer": asked["layer"],
                          "layers": made["layers"], "pooling": asked["pooling"],
                          "similarity": asked["encoder_similarity"], "sentences_cut": made["cut"]},
              "coefficients": made["coefficients"], "level": made["level"], "resamples": asked["draws"],
              "baselines": {kind: found[kind]["result"]["coefficients"] for kind in BESIDE if kind in found}}
    rows = [[BESIDE.get(who, "codes"), *(_cell(c) for c in each["result"]["coefficients"].values())]
            for who, each in found.items()]
    cut = [f"{made['cut']} of them are longer than the encoder reads"] if made["cut"] else []
    show(options, result, [
        f"run {run.id}, {asked['similarity']} similarity of codes",
        f"encoder {asked['encoder']}: {how} of {made['layers']} layers, {asked['encoder_similarity']} similarity",
        f"{made['sentences']:,} sentences of the test split of {run.spec.corpus}, {made['pairs']:,} pairs", *cut,
        *table(["similarity by", *(name.capitalize() for name in made["coefficients"])], rows),
        f"in brackets: {LEVEL:.0%} interval from {asked['draws']} resamples of the sentences"])


def _cell(found: dict) -> str | None:
    """A coefficient and its interval; None where it is not defined, for one side is constant."""
    return None if found["value"] is None else f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"

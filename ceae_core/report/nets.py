"""The same families on two kinds of networks, LSTMs and transformers."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ceae_core.assembly import build_model
from ceae_core.corpora import Vocabulary
from ceae_core.report import beside, published
from ceae_core.report.compare import of_names
from ceae_core.report.figures import Picture, one_axis
from ceae_core.report.perplexity import DECODERS, TRUE, Board, family_of
from ceae_core.report.results import Result
from ceae_core.report.tables import Table
from ceae_core.report.truth import Floor, excess
from ceae_core.spec import RunSpec, Settings

NETS = {"lstm": "LSTM", "transformer": "transformer"}
MEASURES = {"Rec": "rec_nats_per_sentence", "IW bound": "nll_iw_nats"}


def without_net(result: Result) -> Result:
    """The result as if of the usual networks, so that a family has one name on both."""
    return replace(result, settings={**result.settings, "net": Settings.net})


def of_both(results: Sequence[Result], where: Floor | None) -> dict[str, dict[str, list[float]]]:
    """ "Rec, LSTM" and so on -> family -> nats above the truth of the same sentences (0 where nobody knows it)."""
    groups = {net: [without_net(r) for r in results if r.net == net] for net in NETS}
    return {f"{label}, {NETS[net]}": excess(group, where or Floor(0.0, 0.0, 0.0), metric)
            for label, metric in MEASURES.items() for net, group in groups.items()}


def figure(results: Sequence[Result], where: Floor | None) -> Picture:
    """Rec and valid bound of every family on both."""
    above = " above the true −log p of the same sentences" if where else ""
    return one_axis(of_both(results, where), f"nats per sentence{above}", "truth" if where else None)


def table(results: Sequence[Result], where: Floor | None) -> Table:
    """The numbers behind `figure`, means over complete seeds."""
    means = {header: {name: sum(values) / len(values) for name, values in column.items() if values}
             for header, column in of_both(results, where).items()}
    above = f", above the truth ({where.test:.2f}; on the sentences of the bound {where.first:.2f})" if where else ""
    return of_names(means, f"Rec and bound on both kinds of networks, nats{above}", "two-nets")


def perplexities(keys: Sequence[str], boards: Mapping[str, Board], dataset: str) -> Table:
    """Forward and reverse perplexity of samples at temperature 1 by the LSTM critic: as printed, and of each board.

    `keys` are published rows, `boards` are those of recorded results by kind of network.  A row that is a variant of a
    family has no number of ours.
    """
    rows = []
    for key in [*keys, TRUE]:
        is_true = key == TRUE
        row: dict = {"model": TRUE if is_true else published.title(key)}
        for metric in ("L-F", "L-R"):
            cell = None if is_true else beside.printed(key, dataset, metric)[1]
            row[f"published, {dataset} | {metric}"] = cell
        for net, board in boards.items():
            name = TRUE if is_true else family_of(key)
            for direction in ("forward", "reverse"):
                row[f"{board.place}, {NETS[net]} | {direction}"] = board.cell((name, "lstm", DECODERS[0]), direction)
        rows.append(row)
    return Table(rows, "Perplexity of samples by an LSTM critic, published and recorded", [
        f"Published: {published.CITATIONS['ceae']}. Forward: the critic, trained on the corpus, reads samples. "
        "Reverse: trained on samples, it reads the test split."], "transformer-perplexity")


def sizes(specs: Mapping[str, RunSpec], vocabulary: Vocabulary) -> Table:
    """Label -> spec: what each network consists of, its weights counted in the model itself."""
    rows = []
    for label, spec in specs.items():
        model, settings = build_model(spec, vocabulary), spec.settings
        is_lstm = settings.net == "lstm"
        rows.append({"network": label, "layers": "1 + 1" if is_lstm else f"{settings.layers} + {settings.layers}",
                     "width": settings.hidden, "heads": None if is_lstm else settings.heads,
                     "dense layers": None if is_lstm else settings.inner, "code": settings.latent,
                     **{f"weights | {part}": sum(p.numel() for p in module.parameters())
                        for part, module in (("encoder", model.encoder), ("decoder", model.decoder))}})
    return Table(rows, "The networks", ["Layers: encoder + decoder. Embeddings count as weights; a transformer's "
                                        "output layer is its embeddings."], "nets", places=0)

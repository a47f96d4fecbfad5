"""OPTIMUS with three codes: the lower half of the first paper's Table 2, its lambdas, our runs on other networks."""

from collections.abc import Sequence
from statistics import fmean

from ceae_core.assembly import build_model
from ceae_core.corpora import Vocabulary
from ceae_core.report import published
from ceae_core.report.beside import printed
from ceae_core.report.compare import by_name, numbers
from ceae_core.report.figures import Line, Panel
from ceae_core.report.recorded import load
from ceae_core.report.results import Result
from ceae_core.report.tables import BLANK, Cell, Table
from ceae_core.runs import Store
from ceae_core.schedules import Clock, decaying_noise, entropy_weight, halves_and_quarters
from ceae_core.spec import RunSpec

PLAIN, BN_VAE, CEAE = ROWS = ("ceae:2:OPTIMUS:", "ceae:2:BN-VAE:gamma=0.7, OPTIMUS", "ceae:2:CEAE:OPTIMUS")
LAMBDAS = ("ceae:A.5:OPTIMUS:lambda=0.5", "ceae:A.5:OPTIMUS:lambda=1")
CELLS = tuple((dataset, metric) for dataset in ("Yahoo", "Yelp") for metric in ("Rec", "GPT2-F", "L-F", "L-R"))
OTHERS = {"vae": "optimus", "bn-vae": "optimus-bn-vae", "ceae": "optimus-ceae"}     # one code on two kinds of networks
REC, IW = "rec_nats_per_sentence", "nll_iw_nats"
POINTS = 400                # of a curve


def lambdas() -> Table:
    """What is printed of OPTIMUS at three lambdas, and of its two rivals; bold: the lowest of a column, in any row."""
    keys = (PLAIN, *LAMBDAS, BN_VAE, CEAE)
    found = {key: {cell: published.cell(key, *cell).value for cell in CELLS if _is_printed(key, *cell)} for key in keys}
    lowest = {cell: min(values[cell] for values in found.values() if cell in values) for cell in CELLS}
    rows = []
    for key in keys:
        row = {"model": "OPTIMUS (lowest lambda)" if key == PLAIN else published.title(key)}
        for cell in CELLS:
            header = f"{cell[0]} | {printed(CEAE, *cell)[0]}"
            row[header] = Cell(found[key][cell], printed(key, *cell)[1].text, printed(key, *cell)[1].title,
                               strong=found[key][cell] == lowest[cell]) if cell in found[key] else Cell(None, BLANK)
        rows.append(row)
    return Table(rows, "OPTIMUS at three lambdas", [
        f"{published.CITATIONS['ceae']}, Table 2 and section A.5. Bold: the lowest of the column; the paper's own bold "
        "leaves the two lambdas of its appendix out. Blank: not printed."], "optimus-lambdas")


def _is_printed(row: str, dataset: str, metric: str) -> bool:
    frame = published.load(*published.table_of(row))
    return bool(((frame["row"] == row) & (frame["dataset"] == dataset) & (frame["metric"] == metric)).any())


def claims(results: Sequence[Result]) -> Table:
    """What the lower half of Table 2 and section A.5 are read to say, and whether our runs say it, too."""
    means = {name: {key: fmean(numbers(group, key)) for key in (REC, IW) if numbers(group, key)}
             for name, group in by_name(results).items()}
    of = {family: [name for name in means if name.split(" ")[0] == family] for family in {*OTHERS, *OTHERS.values()}}
    (ceae,), (bn,), plain = of["optimus-ceae"], of["optimus-bn-vae"], sorted(of["optimus"], key=_lambda)
    low, high = plain[0], plain[-1]

    def said(names: Sequence[str], key: str = REC) -> str:
        return ", ".join(f"{name} {means[name][key]:.2f}" for name in names)

    best = min((ceae, bn, *plain), key=lambda name: means[name][REC])
    tests = [
        ("CEAE's code has a lower Rec than BN-VAE's and the plain one at the lowest lambda",
         means[ceae][REC] < min(means[bn][REC], means[low][REC]), said((ceae, bn, low))),
        ("a larger lambda lowers the Rec of OPTIMUS", means[high][REC] < means[low][REC], said((low, high))),
        ("with that lambda OPTIMUS has a lower Rec than CEAE's code", means[high][REC] < means[ceae][REC],
         said((high, ceae))),
        ("the row with the lowest Rec has the lowest IW bound, too",
         means[best][IW] == min(means[name][IW] for name in (ceae, bn, *plain)),
         said((best, *(name for name in (ceae, bn, *plain) if name != best)), IW)),
    ]
    rows = [{"claim": claim, "here": "yes" if holds else "no", "nats": text} for claim, holds, text in tests]
    return Table(rows, "Claims and our runs", name="optimus-claims")


def _lambda(name: str) -> float:
    return float(name.split("(")[1].rstrip(")").split(",")[0])


def pretraining(results: Sequence[Result]) -> Table:
    """Each code on three kinds of networks: Rec and bound, nats."""
    rows = []
    for family, pretrained in OTHERS.items():
        row: dict[str, object] = {"code": family}
        for label, name, net in (("LSTM", family, "lstm"), ("transformer", family, "transformer"),
                                 ("pretrained encoder", pretrained, "pretrained")):
            group = [r for r in results if r.family == name and r.net == net]
            group = next(iter(by_name(group).values()), [])
            for header, key in (("Rec", REC), ("IW bound", IW)):
                found = numbers(group, key) if group else []
                row[f"{label} | {header}"] = fmean(found) if found else None
        rows.append(row)
    return Table(rows, "One code on three kinds of networks (nats)", [
        "The plain code is a VAE with annealing on the first two, with thresholds on the third (lowest lambda)."],
        "optimus-networks")


def networks(spec: RunSpec, vocabulary: Vocabulary) -> Table:
    """What stands in for BERT and GPT-2 in a run of `spec`."""
    model = build_model(spec, vocabulary)
    encoder, decoder = model.encoder.body, model.decoder.body
    rows = [{"part": part, "in the paper": paper, "here": here, "layers": layers, "width": width,
             "weights": sum(weight.numel() for weight in module.parameters()),
             "of them trained": sum(weight.numel() for weight in module.parameters() if weight.requires_grad)}
            for part, paper, here, layers, width, module in (
                ("encoder", "BERT", spec.settings.encoder, encoder.config.num_hidden_layers,
                 encoder.config.hidden_size, model.encoder),
                ("decoder", "GPT-2", spec.settings.decoder, decoder.config.n_layer, decoder.config.n_embd,
                 model.decoder))]
    return Table(rows, "What stands in for what", [
        "minilm: all-MiniLM-L6-v2, its embeddings cut to the word pieces of the vocabulary. scratch: a GPT-2 of the "
        "corpus's own words, which starts from nothing and learns alone first."], "optimus-stand-ins", places=0)


def schedules(spec: RunSpec) -> list[Panel]:
    """The weight of the KL, and CEAE's weight and noise as shares of their largest, over a training of `spec`."""
    passes, lead = spec.settings.epochs, spec.options["decoder_epochs"]
    clocks = [Clock(step, POINTS, spec.settings.schedule_unit, round(lead * POINTS), passes * POINTS)
              for step in range(round(lead * POINTS), passes * POINTS)]
    noise = {name: spec.options[name] for name in ("c0", "t_max") if name in spec.options}
    curves = {"KL (OPTIMUS, BN-VAE)": [halves_and_quarters(clock) for clock in clocks],
              "contrast (CEAE), share of λ₀": [entropy_weight(clock, lambda0=1.0) for clock in clocks],
              "noise (CEAE), share of c₀": [decaying_noise(clock, **noise | {"c0": 1.0}) for clock in clocks]}
    times = [clock.step / POINTS for clock in clocks]
    return [Panel("", "passes over the data", "weight", [Line(label, times, values, i)
                                                         for i, (label, values) in enumerate(curves.items())])]


def samples(results: Sequence[Result], count: int, store: Store | None = None) -> Table:
    """Sentences from the prior that each run kept: of this machine, else recorded."""
    store = store or Store()
    kept: dict[str, Sequence[str]] = {}
    for result in results:
        run = store.open(result.id)
        kept[result.name] = run.samples["multinomial"] if run else next(
            content["samples"]["multinomial"] for content in load(result.corpus) if content["id"] == result.id)
    rows = [{"": i + 1, **{name: sentences[i] for name, sentences in kept.items()}} for i in range(count)]
    return Table(rows, "Sentences drawn from the prior, word by word", (), "optimus-samples")


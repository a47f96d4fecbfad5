"""What a model gains in reconstruction and what it says it pays for that, from the printed rows of both papers."""

from typing import NamedTuple

import numpy as np

from ceae_core.report import published
from ceae_core.report.figures import Line, Panel
from ceae_core.report.table1 import SHARED
from ceae_core.report.tables import Download, Table

TABLES = {"PTB": (1, 3, 7), "Yahoo": (2,), "Yelp": (2,)}
COLLAPSED = {"PTB": "clvm:1:VAE:", "Yahoo": "clvm:2:VAE:", "Yelp": "clvm:2:VAE:"}
IMPLICIT = ("iVAE", "cVAE")         # beginnings of the names of models whose KL is read from critics
WIDTH = 32                          # units of BN-VAE's code, see `spec.Settings.latent`


class Price(NamedTuple):
    """Nats per sentence of one printed row."""

    row: str
    dataset: str
    gain: float             # -log p of the collapsed VAE minus this row's reconstruction loss
    kl: float               # as printed
    is_implicit: bool

    @property
    def missing(self) -> float:
        """What the gain exceeds the KL by: a better language model, or KL that was not counted."""
        return self.gain - self.kl


def gain(nelbo: float, kl: float, collapsed: float) -> float:
    """Reconstruction gain of a model over the collapsed VAE, whose -ELBO is the -log p of a plain language model."""
    return collapsed - (nelbo - kl)


def prices() -> list[Price]:
    """Every row of the second paper's tables with -ELBO and KL, each model once."""
    found = {}
    for dataset, tables in TABLES.items():
        base = published.cell(COLLAPSED[dataset], dataset, "-ELBO").value
        for table in tables:
            for row in published.rows("clvm", table):
                nelbo, kl = (published.cell(row, dataset, metric).value for metric in ("-ELBO", "KL"))
                found.setdefault((dataset, nelbo, kl), Price(row, dataset, gain(nelbo, kl, base), kl,
                                                             published.model_of(row).startswith(IMPLICIT)))
    return list(found.values())


def batch_norm_bound(gamma: float, width: int = WIDTH) -> float:
    """The least KL of BN-VAE: width * gamma^2 / 2, its shift zero (zhu2020batch; ceae, sec. 2.4)."""
    return width * gamma ** 2 / 2


def own_gains(dataset: str) -> dict[str, float]:
    """Rows of the first paper's Table 1 -> reconstruction gain over its VAE, whose KL is zero."""
    base = published.cell(SHARED[0][0], dataset, "Rec").value
    return {row: base - published.cell(row, dataset, "Rec").value for row in published.rows("ceae", 1)}


def panels() -> list[Panel]:
    """Gain against printed KL, one panel per corpus; the line is where a gain is paid for in full.

    BN-VAE stands at the bound on its KL; CEAE, which has none, is a horizontal line.
    """
    out = []
    for dataset in TABLES:
        here = [price for price in prices() if price.dataset == dataset]
        reach = 1.1 * max(price.kl for price in here)
        diagonal = np.linspace(0.0, reach, 50)
        lines = [Line("gain = KL", diagonal, diagonal, 6)]
        for label, implicit, style in (("KL in closed form", False, 0), ("KL from critics", True, 1)):
            chosen = [price for price in here if price.is_implicit == implicit]
            lines.append(Line(label, [p.kl for p in chosen], [p.gain for p in chosen], style, alone=True))
        levels = {}
        if dataset != "PTB":
            gains = own_gains(dataset)
            norm = {row: float(row.split("=")[1]) for row in gains if row.startswith("ceae:1:BN-VAE")}
            lines.append(Line("BN-VAE, least KL", [batch_norm_bound(gamma) for gamma in norm.values()],
                              [gains[row] for row in norm], 2, alone=True))
            levels = {"CEAE, no KL": gains["ceae:1:CEAE:"]}
        else:
            lines.append(Line("BN-VAE, least KL", [], [], 2, alone=True))
        out.append(Panel(dataset, "KL (nats)", "gain in reconstruction (nats)", lines, levels))
    return out


def download() -> Download:
    """The numbers behind `panels`."""
    rows = [{"corpus": p.dataset, "model": published.title(p.row), "table": f"CLVM {published.table_of(p.row)[1]}",
             "KL from": "critics" if p.is_implicit else "closed form", "gain (nats)": p.gain, "KL (nats)": p.kl,
             "gain − KL (nats)": p.missing} for p in prices()]
    rows += [{"corpus": dataset, "model": published.title(row), "table": "CEAE 1", "KL from": None, "gain (nats)": gain,
              "KL (nats)": None, "gain − KL (nats)": None}
             for dataset in ("Yahoo", "Yelp") for row, gain in own_gains(dataset).items()]
    return Download(Table(rows, "Reconstruction gain and printed KL", name="audit-price"))

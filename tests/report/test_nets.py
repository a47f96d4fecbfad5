"""Families on two kinds of networks side by side."""

import pytest
import torch

from ceae_core import assembly
from ceae_core.report import nets, published
from ceae_core.report.perplexity import TRUE, Board
from ceae_core.report.truth import Floor
from ceae_core.spec import resolve

TRANSFORMER = {"net": "transformer"}


def test_a_family_has_one_name_on_both(result):
    found = nets.of_both([result("vae", rec_nats_per_sentence=11.0, nll_iw_nats=9.0),
                          result("vae", settings=TRANSFORMER, rec_nats_per_sentence=12.0, nll_iw_nats=9.5),
                          result("ceae", settings=TRANSFORMER, rec_nats_per_sentence=3.0, nll_iw_nats=8.5)],
                         Floor(10.0, 8.0))
    assert found == {"Rec, LSTM": {"vae": [1.0]}, "Rec, transformer": {"vae": [2.0], "ceae": [-7.0]},
                     "IW bound, LSTM": {"vae": [1.0]}, "IW bound, transformer": {"vae": [1.5], "ceae": [0.5]}}


def test_without_the_truth_nats_are_as_they_are(result):
    found = nets.of_both([result("vae", rec_nats_per_sentence=11.0)], None)
    assert found["Rec, LSTM"] == {"vae": [11.0]} and found["Rec, transformer"] == {}
    assert "truth" not in repr(nets.figure([result("vae")], None).figure.axes[0].texts)


def test_variants_keep_their_names(result):
    small = result("bn-vae", options={"norm_eps": 1e-12}, settings=TRANSFORMER)
    assert small.name == "bn-vae (0.7, norm eps 1e-12, net transformer)"
    assert nets.without_net(small).name == "bn-vae (0.7, norm eps 1e-12)"


def test_weights_are_those_of_the_models(oracle_corpus):
    specs = {net: resolve("vae", scale="smoke", set={"net": net}) for net in nets.NETS}
    vocabulary = oracle_corpus.vocabulary("bn")
    rows = {row["network"]: row for row in nets.sizes(specs, vocabulary).rows}
    for net, spec in specs.items():
        torch.manual_seed(0)
        model = assembly.build_model(spec, vocabulary)
        own = sum(p.numel() for p in model.parameters()) - sum(p.numel() for p in model.posterior.parameters())
        assert rows[net]["weights | encoder"] + rows[net]["weights | decoder"] == own
    assert rows["lstm"]["layers"] == "1 + 1" and rows["transformer"]["layers"] == "2 + 2"
    assert rows["transformer"]["heads"] == 2 and rows["lstm"]["heads"] is None


def test_perplexities_stand_beside_the_printed_ones():
    key = ("ceae", "lstm", "multinomial")
    boards = {"lstm": Board("recorded, oracle at quick", {key: {"forward": {"ppl": 8.0}, "reverse": {"ppl": 7.0}},
                                                          (TRUE, *key[1:]): {"forward": {"ppl": 6.0}}}),
              "transformer": Board("recorded, oracle at quick", {key: {"forward": {"ppl": 16.0}}})}
    ceae, fb, true = nets.perplexities(["ceae:11:CEAE:", "ceae:11:FB:free_bits=7"], boards, "PTB").rows
    assert ceae["published, PTB | L-F"].value == published.cell("ceae:11:CEAE:", "PTB", "L-F").value
    assert (ceae["oracle at quick, LSTM | forward"].value, ceae["oracle at quick, LSTM | reverse"].value) == (8.0, 7.0)
    assert ceae["oracle at quick, transformer | forward"].value == 16.0
    assert ceae["oracle at quick, transformer | reverse"].value is None
    assert fb["oracle at quick, LSTM | forward"].value is None
    assert true["published, PTB | L-R"] is None and true["oracle at quick, LSTM | forward"].value == 6.0


@pytest.mark.parametrize("option, is_row", [({}, True), ({"norm_eps": 1e-12}, False)])
def test_a_run_made_before_there_was_an_option_is_still_its_row(result, option, is_row):
    run = result("bn-vae", options=option)
    older = {name: value for name, value in run.options.items() if name != "norm_eps" or option}
    assert nets.replace(run, options=older).is_row("bn-vae", {"gamma": 0.7}) is is_row

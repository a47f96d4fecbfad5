"""Tables of perplexities from invented results: what stands where, and the order that critics give."""

from types import SimpleNamespace

import pytest

from ceae_core import experiments
from ceae_core.critics.ngram import NgramCritic
from ceae_core.critics.perplexity import PAPERS
from ceae_core.errors import CeaeError
from ceae_core.experiments import generated
from ceae_core.experiments.generated import Wanted
from ceae_core.report import critic_truth, perplexity, published
from ceae_core.report.notes import Note
from ceae_core.report.perplexity import CLVM, CLVM_WORD, TRUE, Board


def judged(forward, reverse, distinct=9, **more):
    """A result; without numbers of a direction it is not run."""
    def part(ppl, extra):
        known = {"ppl": ppl, "ppl_excluding_oov": ppl, "oov": 3, "tokens": 50, "settings": {}} | extra
        return known if ppl is not None else {"not_run": "no weights"}
    return {"forward": part(forward, more), "reverse": part(reverse, {}), "diversity": {
        "sentences": 1_200, "distinct_sentences": distinct, "distinct_words": 7, "self_bleu": 42.5,
        "self_bleu_sentences": 200, "length_mean": 9.5, "length_sd": 2.0, "lengths": [0] * 12 + [3]}}


def true(forward, mass, grammatical=0.5):
    return judged(forward, 1.0, grammatical=grammatical, ppl_grammatical=5.5) | {"reverse": {
        "templates": 3, "template_mass": mass, "word_mass": 0.9, "sentence_mass": 0.1}}


@pytest.fixture
def board():
    found = {}
    for family, forward, reverse, share in (("vae", 3.0, 90.0, 0.1), ("ceae", 9.0, 20.0, 0.6), ("ae", 50.0, 60.0, 0.2),
                                            (TRUE, 6.0, 10.0, 0.8)):
        found |= {(family, "ngram", "multinomial"): judged(forward, reverse), (family, "gpt2", "multinomial"): judged(
            None, None), (family, CLVM, "greedy"): judged(forward + 1, reverse + 1),
            (family, "lstm", "multinomial"): judged(forward / 2, reverse / 2),
            (family, "oracle", "multinomial"): true(forward, share)}
    return Board("here", found)


def row(table, model):
    return next(r for r in table.rows if getattr(r["model"], "value", r["model"]) == model)


def test_the_first_papers_columns_and_ours(board):
    table = perplexity.with_ceae([board])
    vae = row(table, "VAE")
    assert vae["published | Yelp L-R"].value == published.cell("ceae:1:VAE:", "Yelp", "L-R").value
    assert (vae["here | L-F"].value, vae["here | L-R"].value) == (1.5, 45.0)
    assert vae["here | length"].value == 9.5 and vae["here | length"].title == "words; sd 2.0, at most 12"
    assert vae["here | GPT2-F"].value is None and vae["here | GPT2-F"].text == "not run"
    assert vae["here | GPT2-F"].title == "no weights" and "3 of 50" in vae["here | L-F"].title
    assert vae["here | distinct"].value == 9 and vae["here | distinct"].title == "of 1,200 samples"
    assert vae["here | self-BLEU"].value == 42.5
    assert row(table, "SA-VAE")["here | L-F"].value is None                        # not among the families
    assert row(table, "ae")["here | L-F"].value == 25 and row(table, TRUE)["here | L-R"].value == 5
    assert len(table.rows) == len(published.rows("ceae", 1)) + 2


def test_the_second_papers_columns_and_ours(board):
    table = perplexity.with_clvm([Board("recorded"), board])
    ae = row(table, "AE")
    assert ae["published | PTB forward"].value == published.cell("clvm:4:AE:", "PTB", "forward_PPL").value
    assert (ae["here | forward"].value, ae["here | reverse"].value) == (51.0, 61.0)
    assert ae["recorded | forward"].value is None
    assert perplexity.family_of("clvm:4:iVAE_MI:") == "ivae-mi" and perplexity.family_of("clvm:4:CycVAE:") == "cyclic"


def test_only_the_usual_form_of_a_family_has_our_number(board):
    assert perplexity.family_of("ceae:1:BN-VAE:gamma=0.7") == "bn-vae"
    assert perplexity.family_of("ceae:1:BN-VAE:gamma=0.6") is None
    assert perplexity.family_of("ceae:1:beta-VAE:beta=0.4") == "beta-vae"
    assert perplexity.family_of("clvm:4:betaVAE:beta=0.5") is None                  # not the usual beta
    board.found["bn-vae", "lstm", "multinomial"] = judged(2.0, 3.0)
    table = perplexity.with_ceae([board])
    assert row(table, "BN-VAE (gamma 0.7)")["here | L-F"].value == 2
    assert row(table, "BN-VAE (gamma 0.6)")["here | L-F"].value is None


def test_a_critic_that_was_not_asked_has_no_column(board):
    without = Board("there", {key: each for key, each in board.found.items() if key[1] != "gpt2"})
    table = perplexity.with_ceae([without, board])
    assert "there | GPT2-F" not in table.columns and "here | GPT2-F" in table.columns


def test_truth_is_sorted_by_coverage(board):
    table = critic_truth.table(board)
    assert [r["samples of"].value for r in table.rows] == [TRUE, "ceae", "ae", "vae"] and "1,200" in table.caption
    assert table.rows[1]["forward | true PPL"] == 9 and table.rows[1]["reverse | templates covered"] == 0.6
    assert table.rows[0]["decoding"] == "–" and table.rows[1]["decoding"] == "multinomial"


def test_agreement_is_kendalls_tau_with_the_truth(board):
    rows = {(r["critic"], r["direction"]): r for r in critic_truth.agreement(board).rows}
    assert set(rows) == {(c, d) for c in ("5-gram", "LSTM") for d in ("forward", "reverse")}
    assert rows["5-gram", "forward"]["Kendall's tau"] == 1
    reverse = rows["LSTM", "reverse"]                                   # ceae 10, ae 30, vae 45; not covered .4 .8 .9
    assert reverse["Kendall's tau"] == 1 and reverse["families"] == 3
    board.found["ceae", "oracle", "multinomial"] = true(9.0, 0.15)
    turned = {(r["critic"], r["direction"]): r for r in critic_truth.agreement(board).rows}["LSTM", "reverse"]
    assert turned["Kendall's tau"] == pytest.approx(1 / 3) and turned["pairs the other way"].text == "1 of 3"


def test_the_plane_has_true_text_in_both_panels(board):
    board.found["vae", "ngram", "greedy"] = judged(2.0, 400.0)
    sampled, greedy = critic_truth.plane(board)
    assert [line.label for line in sampled.lines] == ["vae", "ceae", "ae", TRUE]
    assert len({line.style for line in sampled.lines}) == 4
    assert [(line.label, list(line.x), list(line.y)) for line in greedy.lines] == [
        ("vae", [2.0], [400.0]), (TRUE, [6.0], [10.0])]
    assert greedy.logarithmic and sampled.logarithmic                       # 90 and 400 are more than 5 times 10
    board.found["ae", "ngram", "multinomial"] = judged(critic_truth.FAR * 6.0 + 1, 60.0)
    assert [line.label for line in critic_truth.plane(board)[0].lines] == ["vae", "ceae", TRUE]


def test_what_unknown_words_do_stands_beside_the_published_way(board):
    part = {"ppl": 900.0, "ppl_excluding_oov": 12.0, "oov": 45, "tokens": 50, "settings": {}}
    board.found["vae", CLVM, "greedy"] = judged(1.0, 30.0) | {"forward": part}
    board.found["vae", CLVM_WORD, "greedy"] = judged(4.0, 20.0)
    found = perplexity.unknown_words(board).rows[0]
    assert found["samples of"].value == "vae" and found["<unk> | of the words"].text == "90%"
    assert [found[f"forward | {name}"].value for name in ("as published", "other words alone", "<unk> a word")] == [
        900, 12, 4]
    assert (found["reverse | as published"].value, found["reverse | <unk> a word"].value) == (30, 20)


def test_what_is_wanted_follows_the_papers():
    found = perplexity.wanted(["vae", "ae"], ["ngram", CLVM], "oracle", "smoke", 3, model="folder")
    assert list(found) == [("vae", "ngram", "multinomial"), ("ae", "ngram", "multinomial"),
                           (TRUE, "ngram", "multinomial"), ("vae", "ngram", "greedy"), ("ae", "ngram", "greedy"),
                           ("vae", CLVM, "greedy"), ("ae", CLVM, "greedy"), (TRUE, CLVM, "greedy")]
    assert list(perplexity.wanted(["vae"], ["lstm"], "oracle", "smoke", 1, decoders=["greedy"], with_true=False)) == [
        ("vae", "lstm", "greedy")]
    assert found[TRUE, CLVM, "greedy"].is_true and found["ae", CLVM, "greedy"].protocol.word_lines
    assert all(each.spec.seed == 3 and each.protocol.model == "folder" for each in found.values())
    assert perplexity.protocol("lstm", "greedy", "quick").reverse == 10_000
    assert perplexity.protocol(CLVM, "greedy", "quick").forward == PAPERS["clvm"].forward == 1_280


def test_recorded_results_are_found_by_run_and_protocol(monkeypatch, tmp_path):
    monkeypatch.setattr(experiments.recorded, "__defaults__", (tmp_path,))
    assert perplexity.recorded("oracle", "quick").found == {}
    keys = [("ceae", "ngram", "greedy"), ("cvae+-mi", "lstm", "multinomial"), ("vae", CLVM, "greedy"),
            ("vae", CLVM_WORD, "greedy"), (TRUE, "oracle", "multinomial")]
    for number, (family, critic, decoder) in enumerate(keys):
        spec = SimpleNamespace(id=f"{'vae' if family == TRUE else family}-oracle-quick-s1-{number:012x}")
        parameters = Wanted(spec, perplexity.protocol(critic, decoder, "quick"), family == TRUE).judging()
        experiments.record({"id": experiments.identity("perplexity", generated.VERSION, parameters),
                            "name": "perplexity", "version": generated.VERSION, "parameters": parameters,
                            "result": {"number": number}}, tmp_path)
    found = perplexity.recorded("oracle", "quick").found
    assert {key: each["number"] for key, each in found.items()} == {key: i for i, key in enumerate(keys)}
    assert list(found)[-1][0] == TRUE
    assert perplexity.recorded("oracle", "quick").place == "oracle at quick"
    assert perplexity.recorded("oracle", "quick", seed=2).found == {} == perplexity.recorded("ptb", "quick").found


def test_recorded_results_of_transformers_stand_apart(monkeypatch, tmp_path, result):
    """A run of LSTMs and one of transformers differ in the digits of their ids only; the run's record tells."""
    runs = [result("vae", nll_iw_nats=1.0), result("vae", settings={"net": "transformer"})]
    monkeypatch.setattr(perplexity, "load_recorded", lambda corpus, scale: runs)
    monkeypatch.setattr(experiments.recorded, "__defaults__", (tmp_path,))
    for number, run in enumerate(runs):
        parameters = Wanted(SimpleNamespace(id=run.id), perplexity.protocol("lstm", "greedy", "quick")).judging()
        experiments.record({"id": experiments.identity("perplexity", generated.VERSION, parameters),
                            "name": "perplexity", "version": generated.VERSION, "parameters": parameters,
                            "result": {"number": number}}, tmp_path)
    for number, net in enumerate(("lstm", "transformer")):
        found = perplexity.recorded("oracle", "quick", net=net).found
        assert found == {("vae", "lstm", "greedy"): {"number": number}}


def test_the_anchor_scores_the_test_split_both_ways(tmp_path, monkeypatch):
    text = ["the taco was <unk> .", "the <unk> was good .", "the taco was good ."]
    for split in ("train", "valid", "test"):
        (tmp_path / f"{split}.txt").write_text("\n".join(text) + "\n")
    rename, skip = perplexity.anchor(str(tmp_path), order=2).rows
    sentences = [tuple(line.split()) for line in text]
    for found, unknown in ((rename, "rename"), (skip, "skip")):
        scores = NgramCritic.fit(sentences, order=2, unknown=unknown, scorer="numpy").score(sentences)
        assert (found["perplexity"], found["unknown"]) == (pytest.approx(scores.perplexity()), scores.oov.sum())
    assert (rename["unknown"], skip["unknown"]) == (0, 2)
    monkeypatch.delenv("CEAE_DATA", raising=False)
    said = perplexity.anchor("ptb")
    assert isinstance(said, Note) and said.title == "Not run" and "ptb" in said.text


def test_a_board_of_this_build_is_computed(tmp_path):
    from ceae_core.runs import Store
    asked = {key: each for key, each in perplexity.wanted(["vae"], ["oracle"], "oracle", "smoke", 1).items()
             if key[0] == TRUE}
    found = perplexity.build(asked, store=Store(tmp_path), device="cpu")
    assert found.where == "this build, oracle at smoke"
    assert found.number((TRUE, "oracle", "multinomial"), "forward", "grammatical") == 1
    assert found.cell((TRUE, "oracle", "multinomial"), "reverse", "template_mass").value < 1
    assert found.number(("vae", "oracle", "greedy"), "forward") is None
    with pytest.raises(CeaeError):
        perplexity.wanted(["vae"], ["oracle"], "oracle", "tiny", 1)


def test_protocols_are_the_papers_and_ours():
    rows = {row[""]: row for row in perplexity.protocols().rows}
    assert "2 layers of 200" in rows["critic"]["CEAE paper"]
    assert "5-gram" in rows["critic"]["CLVM paper, by its code base"]
    assert rows["samples"]["CEAE paper"] == "1,000 forward, 10,000 reverse"
    assert rows["samples"]["CLVM paper, by its code base"] == "1,280"
    assert rows["decoding"]["CEAE paper"] == "not stated"


def test_the_recorded_lstm_anchor(monkeypatch):
    found = {split: {"ppl": value} for split, value in (("valid", 118.2), ("test", 113.5))}
    content = {"id": "critic-anchor-x", "parameters": {"corpus": "ptb"}, "result": {
        "stream": found, "sentences": {"valid": {"ppl": 130.0}, "test": {"ppl": 124.0}},
        "settings": {"layers": 2, "hidden": 200, "epochs": 13}}}
    monkeypatch.setattr(perplexity.experiments, "recorded", lambda name: [content] if name == "critic-anchor" else [])
    row, = perplexity.lstm_anchor().rows
    assert (row["as one stream | test"], row["sentence by sentence | valid"], row["result"]) == (
        113.5, 130.0, "critic-anchor-x")
    assert (row["width"], row["epochs"]) == (200, 13)
    monkeypatch.setattr(perplexity.experiments, "recorded", lambda name: [])
    assert "No LSTM critic" in perplexity.lstm_anchor()._repr_html_()


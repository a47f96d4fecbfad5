"""The page's tables of sheets and stand-ins: nothing is called what it is not, and the links hold the files."""

import json
import re
from base64 import b64decode

import numpy as np
import pytest

from ceae_core.corpora.oracle import default
from ceae_core.critics.oracle import OracleCritic
from ceae_core.preference import folder, prompt, standin
from ceae_core.preference.answers import Answers
from ceae_core.preference.sheet import Sheet
from ceae_core.report import preference


@pytest.fixture(scope="module")
def sheet():
    """Reviews of the grammar under the names of our families; the third's words are in random order."""
    sample, rng = [list(s) for s in default().sample(90, 3).sentences], np.random.default_rng(0)
    texts = {"ceae": sample[:30], "bn-vae (0.7)": sample[30:60], "vae": [rng.permutation(s) for s in sample[60:]]}
    return Sheet.of({name: [" ".join(s) for s in group] for name, group in texts.items()}, 30, 1)


@pytest.fixture(scope="module")
def critic():
    return OracleCritic()


@pytest.fixture(scope="module")
def given(sheet, critic):
    return {"stand-in": standin.answers(sheet, critic),
            "first": Answers(sheet, ("a", "b"), np.zeros((2, 30), int))}


def test_positions_and_items(sheet, critic):
    table = preference.positions_table(sheet, "made", "n")
    assert [[row[f"position | {k}"] for k in (1, 2, 3)] for row in table.rows] == [[10] * 3] * 3
    items = preference.items_table(sheet, critic, 4).rows
    assert len(items) == 12 and [row["candidate"].value for row in items[:3]] == list(sheet.items[0].texts)
    for first in range(0, 12, 3):
        group = items[first:first + 3]
        assert [row["candidate"].strong for row in group] == [
            row["nats per word"] == min(r["nats per word"] for r in group) for row in group]
    assert [row["model (key)"] for row in items[:3]] == [sheet.models[m] for m in sheet.items[0].order]


def test_shares_and_bias(given):
    rows = {row["chosen by"]: row for row in preference.shares_table(given, "c", "n").rows}
    assert rows["stand-in"]["answers"] == 30 and rows["first"]["answers"] == 60
    share = rows["first"]["share (%), 95 % | vae"]
    assert share.value == pytest.approx(100 / 3) and share.text.startswith("33.3 (")
    assert rows["stand-in"]["share (%), 95 % | vae"].value < 7
    bias = {row["chosen by"]: row for row in preference.bias_table(given, "c", "n").rows}
    assert [bias["first"][f"position chosen | {k}"] for k in (1, 2, 3)] == [60, 0, 0]
    assert bias["first"]["p, positions equal"].strong and not bias["stand-in"]["p, positions equal"].strong
    assert bias["first"]["Fleiss' kappa"] == 1.0 and bias["stand-in"]["Fleiss' kappa"] is None
    assert bias["first"]["design effect"] == pytest.approx(2 * 30 / 29) and bias["stand-in"]["design effect"] is None


def test_beside_the_print_the_stand_in_has_its_own_name(given):
    rows = preference.beside_table({"stand-in (x)": given["stand-in"]}).rows
    assert len(rows) == 9 and rows[0]["share (%) | CEAE"] == 46.2 and rows[0]["source"] == "published, Table 4"
    ours = rows[-1]
    assert ours["chosen by"] == "stand-in (x)" and ours["source"] == "this build"
    counts = given["stand-in"].counts()
    assert ours["share (%) | VAE"] == pytest.approx(100 * counts[2] / 30)
    assert ours["share (%) | BN-VAE"] == pytest.approx(100 * counts[1] / 30)
    assert not any(word in str(ours["chosen by"]) for word in ("people", "GPT-4", "human"))


def test_a_judge_in_rotations(sheet, critic):
    found = {kind: {variant: standin.judged(sheet, critic, variant, scale=0.01, hasty=hasty)
                    for variant in prompt.VARIANTS} for kind, hasty in (("reads", 0.0), ("hasty", 1.0))}
    rows = preference.orders_table(found).rows
    calm, turned = rows[0], rows[1]
    truth = standin.answers(sheet, critic).counts()
    for row in (calm, turned):
        assert row["share of decided (%) | ceae"] == pytest.approx(100 * truth[0] / 30, abs=7)
    assert calm["same in all orders (%)"] is None and turned["same in all orders (%)"] > 85
    assert [turned[f"replied position | {k}"] for k in (1, 2, 3)] == pytest.approx([30, 30, 30], abs=4)
    assert rows[3]["undecided items"] == 30 and rows[3]["replied position | 1"] == 90
    assert rows[3]["p, positions equal"].strong and rows[3]["share of decided (%) | ceae"] == 0.0


def test_the_critic_fits_the_corpus(oracle_corpus):
    assert preference.critic_of(oracle_corpus).name == "oracle"


def test_the_cost_of_both_variants(sheet):
    rows = preference.cost_table(sheet).rows
    assert [row["requests"] for row in rows] == [30, 90]
    assert rows[1]["tokens asked, about"] == pytest.approx(3 * rows[0]["tokens asked, about"], abs=3)


def test_the_prompt_is_escaped(sheet):
    odd = Sheet.of({"a": ["<unk> & <b>"], "b": ["x"]}, 1, 1)
    assert "&lt;unk&gt; &amp; &lt;b&gt;" in preference.Prompt(odd)._repr_html_()
    assert repr(preference.Prompt(sheet)).startswith(prompt.QUESTION)


def test_the_links_hold_the_files_that_the_command_writes(sheet, tmp_path):
    html = preference.Files(sheet)._repr_html_()
    for name, _, content in re.findall(r'download="([^"]+)" href="data:([^;]+);base64,([^"]+)"', html):
        (tmp_path / name).write_bytes(b64decode(content))
    assert folder.load(tmp_path) == sheet and folder.write(sheet, tmp_path) == []
    assert json.loads((tmp_path / folder.KEY).read_text())["sheet"] == sheet.id
    folder.write(sheet, tmp_path / "by command")
    for name in (folder.SHEET, folder.FORM, folder.KEY):
        assert (tmp_path / name).read_bytes() == (tmp_path / "by command" / name).read_bytes()


def test_the_form_opens_in_a_new_tab(sheet, browser, tmp_path):
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><meta charset='utf-8'>{preference.Files(sheet)._repr_html_()}", encoding="utf-8")
    context = browser.new_context(offline=True)
    tab = context.new_page()
    tab.goto(page.as_uri())
    with context.expect_page() as opened:
        tab.get_by_role("button", name="Open the form in a new tab").press("Enter")
    form = opened.value
    form.wait_for_load_state()
    assert form.locator("legend").inner_text() == "Item 1 of 30"
    assert form.locator("label.candidate span").nth(1).inner_text() == sheet.items[0].texts[0]
    context.close()

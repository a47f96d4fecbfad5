"""The `ceae` command: what it prints where, its exit status, and one clear line for everything that can go wrong."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ceae_core.cli import main
from ceae_core.corpora import oracle
from ceae_core.zoo import FAMILIES

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = ["--set", "batch_size=64", "--set", "precision=fp32", "--set", "iw_samples=2", "--set", "iw_sentences=4",
         "--device", "cpu"]
METRICS = ("rec_nats_per_sentence", "nelbo_nats_per_sentence", "ppl_word", "kl_nats", "mi_minibatch_nats",
           "mi_dataset_nats", "active_units", "nll_iw_nats")


@pytest.fixture(scope="module")
def trained(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one complete run of each of vae and lstm-lm."""
    store = tmp_path_factory.mktemp("trained")
    for family in ("vae", "lstm-lm"):
        assert main(["train", family, "--corpus", str(reviews), "--scale", "smoke", "--runs", str(store), *SMALL]) == 0
    return store


def in_process(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """The command as users start it."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, "-m", "ceae_core", *map(str, arguments)], env=environment, text=True,
                          capture_output=True, timeout=120, **options)


# commands as documented --------------------------------------------------------------------------------------------

def test_zoo_lists_every_family_with_citation_rows_and_options(ceae) -> None:
    said, families = ceae("zoo"), ceae("zoo", "--json").json["families"]
    assert said.status == 0 and said.err == ""
    assert list(families) == list(FAMILIES) and set(families) >= {
        "lstm-lm", "ae", "vae", "beta-vae", "cyclic", "fb", "fb-total", "bn-vae", "ceae"}
    for name, row in families.items():
        assert f"\n{name} " in f"\n{said.out}" and row["cite"] and all(key in said.out for key in row["cite"])
        assert all(f"{option}=" in said.out for option in row["options"])
    assert families["bn-vae"]["options"]["gamma"] == 0.7 and "--set gamma=0.6" in said.out
    assert families["sa-vae"]["paper_rows"]["clvm:1:SaVAE:"] == {"stack": "ivae", "kl_start": 0.1, "svi_steps": 10}
    assert "clvm:1:SaVAE  (--set stack=ivae --set kl_start=0.1 --set svi_steps=10)\n" in said.out
    assert all(row.keys() == {"title", "cite", "options", "settings", "paper_rows"} for row in families.values())
    texts = [line for line in said.out.splitlines() if line.split(" ")[0] in families]
    assert {line.index(families[line.split(" ")[0]]["title"]) for line in texts} == {1 + max(map(len, families))}


def test_train_measure_and_sample_as_users_type_them(tmp_path: Path) -> None:
    """One real process per command; stdout holds one JSON object and nothing else, everything else is on stderr."""
    said = in_process("train", "ceae", "--corpus", "oracle", "--scale", "smoke", "--seed", "1", "--json", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    trained = json.loads(said.stdout)
    assert trained["status"] == "complete" and set(METRICS) <= set(trained["metrics"])
    assert trained["run"].startswith("ceae-oracle-smoke-s1-") and (tmp_path / "runs" / trained["run"]).is_dir()

    said = in_process("measure", trained["run"], "--json", cwd=tmp_path)
    assert said.returncode == 0 and json.loads(said.stdout) == {"run": trained["run"], "metrics": trained["metrics"]}

    said = in_process("sample", trained["run"], "-n", "100", "--decode", "multinomial", "--out", "s.txt", "--json",
                      cwd=tmp_path)
    assert said.returncode == 0 and json.loads(said.stdout)["sentences"] == 100
    assert len((tmp_path / "s.txt").read_text().splitlines()) == 100


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_leaves_is_no_error(unbuffered: str, tmp_path: Path) -> None:
    pipe = subprocess.run(f"{sys.executable} -m ceae_core zoo | true; echo ${{PIPESTATUS[0]}}", shell=True, text=True,
                          executable="/bin/bash", capture_output=True, cwd=tmp_path,
                          env=os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONUNBUFFERED": unbuffered})
    assert pipe.stdout.split() == ["0"] and pipe.stderr == ""


def test_train_on_ptb(ceae, tmp_path: Path) -> None:
    data = os.environ.get("CEAE_DATA")
    if not data or not (Path(data) / "ptb" / "train.txt").is_file():
        pytest.skip("CEAE_DATA is unset or has no ptb/train.txt")
    said = ceae("train", "bn-vae", "--set", "gamma=0.6", "--corpus", "ptb", "--scale", "smoke", "--data", data,
                "--json", *SMALL, "--set", "epochs=1")
    assert said.status == 0 and said.json["run"].startswith("bn-vae-ptb-smoke-s1-")
    spec = json.loads((tmp_path / said.json["folder"] / "spec.json").read_text())
    assert spec["options"]["gamma"] == 0.6


def test_train_with_another_net(ceae, reviews: Path) -> None:
    said = ceae("train", "ceae", "--net", "transformer", "--corpus", reviews, "--scale", "smoke", *SMALL, "--json")
    assert said.status == 0
    spec = json.loads((Path(said.json["folder"]) / "spec.json").read_text())
    assert spec["settings"]["net"] == "transformer" and spec["settings"]["heads"] == 2
    said = ceae("sample", said.json["run"], "-n", 3, "--json")
    assert said.status == 0 and len(said.json["sentences"]) == 3
    said = ceae("train", "skip-vae", "--net", "transformer", "--corpus", reviews, "--scale", "smoke", *SMALL)
    assert said.status == 2 and "skip: every layer of a transformer sees z already" in said.err


def test_train_from_checkpoints_of_ones_own(ceae, reviews: Path, tiny_bert: Path, tiny_gpt2: Path) -> None:
    """Two values after one --set."""
    said = ceae("train", "optimus-ceae", "--corpus", reviews, "--scale", "smoke", *SMALL, "--json", "--set",
                f"encoder={tiny_bert}", f"decoder={tiny_gpt2}")
    assert said.status == 0, said.err
    spec = json.loads((Path(said.json["folder"]) / "spec.json").read_text())
    assert re.match("tiny-bert@", spec["settings"]["encoder"]) and re.match("tiny-gpt2@", spec["settings"]["decoder"])
    for command, *more in (("measure",), ("sample",), ("interpolate", "the food was good", "we waited")):
        assert ceae(command, said.json["run"], *more, "--json").status == 0
    said = ceae("train", "optimus", "--corpus", reviews, "--scale", "smoke", *SMALL, "--set", f"encoder={reviews}")
    assert said.status == 2 and "encoder" in said.last and "local folder" in said.last


def test_train_prints_the_metrics_for_people(ceae, reviews: Path) -> None:
    said = ceae("train", "vae", "--corpus", reviews, "--scale", "smoke", *SMALL)
    assert said.status == 0 and all(f"  {name} " in said.out for name in METRICS)
    again = ceae("train", "vae", "--corpus", reviews, "--scale", "smoke", *SMALL)
    assert again.out == said.out and "split by hash" in said.err and again.err == ""


def test_runs_folder_by_option_and_environment(ceae, reviews: Path, tmp_path: Path, monkeypatch) -> None:
    arguments = ["train", "ae", "--corpus", reviews, "--scale", "smoke", "--json", *SMALL]
    assert ceae(*arguments, "--runs", tmp_path / "a" / "b").json["folder"].startswith(str(tmp_path / "a" / "b"))
    monkeypatch.setenv("CEAE_RUNS", str(tmp_path / "c"))
    assert ceae(*arguments).json["folder"].startswith(str(tmp_path / "c"))


def test_measure_repeats_the_metrics_of_training(ceae, trained: Path) -> None:
    for family in ("vae", "lstm-lm"):
        name = next(p.name for p in trained.iterdir() if p.name.startswith(family))
        stored = json.loads((trained / name / "metrics.json").read_text())["metrics"]
        assert ceae("measure", name, "--runs", trained, "--json").json == {"run": name, "metrics": stored}
    said = ceae("measure", "vae", "--runs", trained, "--iw-samples", "3", "--iw-sentences", "5", "--json")
    assert said.json["metrics"]["iw_samples"] == 3 and said.json["metrics"]["iw_sentences"] == 5


@pytest.mark.parametrize("family", ["vae", "lstm-lm"])
@pytest.mark.parametrize("how", ["greedy", "multinomial"])
def test_sample(family: str, how: str, ceae, trained: Path, tmp_path: Path) -> None:
    arguments = ["sample", family, "-n", "100", "--decode", how, "--runs", trained, "--max-length", "12"]
    said = ceae(*arguments, "--json")
    sentences = said.json["sentences"]
    assert said.status == 0 and len(sentences) == 100 and max(len(s.split()) for s in sentences) <= 12
    assert not {"<pad>", "<s>", "</s>"} & {word for s in sentences for word in s.split()}
    assert ceae(*arguments).out.split("\n")[:-1] == sentences == ceae(*arguments, "--json").json["sentences"]
    assert ceae(*arguments, "--out", "samples.txt").status == 0
    assert (tmp_path / "samples.txt").read_text(encoding="utf-8") == "".join(f"{s}\n" for s in sentences)
    if how == "multinomial":
        assert len(set(sentences)) > 50
        assert ceae(*arguments, "--seed", "2", "--json").json["sentences"] != sentences
        cold = ceae(*arguments, "--temperature", "0.01", "--json").json["sentences"]
        assert len(set(cold)) < len(set(sentences))


def test_sample_never_replaces_a_device(ceae, trained: Path) -> None:
    assert ceae("sample", "vae", "-n", "1", "--runs", trained, "--out", "/dev/null").status == 0
    assert not Path("/dev/null").is_file()


def test_runs_list_verify_prune(ceae, trained: Path, tmp_path: Path) -> None:
    store = tmp_path / "runs"
    assert ceae("runs", "list").out == "no runs in runs\n" and ceae("runs", "verify", "--json").json["runs"] == []
    shutil.copytree(trained, store)
    vae, = store.glob("vae-*")
    rows = {row["run"]: row for row in ceae("runs", "list", "--json").json["runs"]}
    stored = json.loads((vae / "metrics.json").read_text())["metrics"]
    assert rows[vae.name]["kl_nats"] == stored["kl_nats"] and len(rows) == 2
    assert ceae("runs", "verify").status == 0
    (vae / "samples.txt").unlink()
    said = ceae("runs", "verify", "--json")
    assert said.status == 1 and said.json["damaged"] == 1
    assert "samples.txt is missing" in ceae("runs", "verify").out
    assert ceae("runs", "prune", "--json").json["removed"] == [vae.name]
    assert ceae("runs", "verify").status == 0 and not vae.exists()


def test_divergence(ceae, reviews: Path, tmp_path: Path) -> None:
    arguments = ["train", "vae", "--corpus", reviews, "--scale", "smoke", *SMALL, "--set", "lr=1e9", "--json"]
    said = ceae(*arguments)
    assert said.status == 1 and said.json["status"] == "diverged" and said.json["metrics"] == {}
    assert said.last.startswith("ceae: ") and "not finite" in said.last and "lr" in said.last
    again = ceae(*arguments)
    assert again.status == 1 and again.json == said.json            # kept, not tried again
    assert ceae("runs", "verify").status == 0 and "diverged" in ceae("runs", "list").out
    for command in (["measure", "vae"], ["sample", "vae"]):
        said = ceae(*command)
        assert said.status == 2 and "diverged" in said.last and said.err.count("\n") == 1


def test_runs_record(ceae, trained: Path, tmp_path: Path) -> None:
    said = ceae("runs", "record", "vae", "--runs", trained, "--results", tmp_path / "results", "--json")
    content = json.loads(Path(said.json["recorded"]).read_text())
    assert content["metrics"]["kl_nats"] > 0 and "source" not in content["spec"]


def test_report_prints_every_table_and_writes_it(ceae, tmp_path: Path) -> None:
    said = ceae("report", "--csv", "report.csv")
    items = ceae("report", "--json").json["items"]
    assert said.status == 0 and said.err == "" and len(items) == 25
    assert max(map(len, said.out.splitlines())) <= 100
    assert all(f", {item['item']} " in said.out and item["verdict"] in said.out for item in items)
    with open(tmp_path / "report.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["verdict"] for row in rows] == [item["verdict"] for item in items]
    assert [row["lesson"] for row in rows] == [item["lesson"] for item in items]
    ran = next(item for item in items if item["runs"])
    assert {"says", "holds", "shown"} == set(ran["checks"][0]) and ran["run"] and ran["chapter"]
    counts = ceae("report", "--json").json["counts"]
    assert sum(counts.values()) == 25 and all(
        counts[verdict] == sum(item["verdict"] == verdict for item in items) for verdict in counts)


# own text ----------------------------------------------------------------------------------------------------------

PROSE = """The sea was calm that morning, and nobody in the village expected a visitor. {0} The boats lay on the sand.

"Who is there?" asked number {0}. Nobody answered; the wind had gone to sleep, the dogs too.


""" + "On and on went the road, past house number {0} and the mill, " * 30 + "until it ended.\n\n"
TEXTS = {
    "prose.txt": "".join(PROSE.format(i) for i in range(12)),
    "README.md": "# Title\n\n" + "".join(f"* item `{i}`, **bold**, [a link](http://x/{i})\n\n```\ncode {i}\n```\n"
                                         for i in range(12)),
    "crlf.txt": "".join(f"line number {i} ends like this\r\n" for i in range(40)),
    "unicode.txt": "".join(f"naïve café № {i} — 東京 😀\n" for i in range(40)),
    "bom.txt": "\ufeff" + "".join(f"sentence {i}\n" for i in range(40)),
    "words.txt": "".join(f"word{i}\n" for i in range(60)),
    "same words.txt": "".join(f"{'yes no '[i % 2 * 4:]}{i % 7} {i % 11}\n" for i in range(200)),
    "no newline at the end": "\n".join(f"a b {i}" for i in range(30)),
    "ten.txt": "".join(f"only {i}\n" for i in range(10)),
    "oracle.txt": "".join(f"its name is that of a corpus {i}\n" for i in range(20)),
    "labelled.tsv": "".join(f"{i % 2}\tlabelled sentence {i}\n" for i in range(40)),
}


@pytest.mark.parametrize("name", TEXTS)
def test_train_on_any_text(name: str, ceae, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(TEXTS[name].encode())
    said = ceae("train", "ceae", "--corpus", name, "--scale", "smoke", "--json", *SMALL)
    assert said.status == 0, said.err
    assert said.json["status"] == "complete" and said.json["metrics"]["rec_nats_per_sentence"] > 0
    assert ceae("measure", said.json["run"], "--json").json["metrics"] == said.json["metrics"]
    assert ceae("sample", said.json["run"], "-n", "3").status == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_on_ten_sentences(family: str, ceae, tmp_path: Path, tiny_encoder) -> None:
    (tmp_path / "ten.txt").write_text(TEXTS["ten.txt"])
    encoder = [f"--set={name}={value}" for name, value in tiny_encoder(family, {}).items()]
    said = ceae("train", family, "--corpus", "ten.txt", "--scale", "smoke", "--json", *SMALL, *encoder)
    assert said.status == 0 and said.json["status"] == "complete", said.err


def splits(folder: Path) -> list[Path]:
    folder.mkdir()
    sentences = [" ".join(s) + "\n" for s in oracle.default().sample(120, 7).sentences]
    for name, part in (("train", sentences[:80]), ("valid", sentences[80:100]), ("test", sentences[100:])):
        (folder / f"{name}.txt").write_text("".join(part))
    return [folder / f"{name}.txt" for name in ("train", "valid", "test")]


def test_train_on_a_folder_or_three_files(ceae, tmp_path: Path) -> None:
    train, valid, test = splits(tmp_path / "mine")
    folder = ceae("train", "vae", "--corpus", "mine", "--scale", "smoke", "--json", *SMALL)
    files = ceae("train", "vae", "--train", train, "--valid", valid, "--test", test, "--scale", "smoke", "--json",
                 *SMALL)
    assert folder.status == files.status == 0
    assert folder.json["metrics"] == files.json["metrics"] and folder.json["run"] != files.json["run"]


def test_measure_where_the_data_have_moved(ceae, tmp_path: Path) -> None:
    splits(tmp_path / "mine")
    trained = ceae("train", "vae", "--corpus", "mine", "--scale", "smoke", "--json", *SMALL).json
    (tmp_path / "mine").rename(tmp_path / "moved")
    said = ceae("measure", "vae")
    assert said.status == 2 and "mine" in said.last and said.err.count("\n") == 1
    assert ceae("measure", "vae", "--data", "moved", "--json").json["metrics"] == trained["metrics"]


# errors ------------------------------------------------------------------------------------------------------------

TRAIN = ["train", "vae", "--corpus", "{reviews}", "--scale", "smoke", *SMALL]
ERRORS = {      # what was typed -> words of the one line that answers
    "no command": ([], "COMMAND"),
    "unknown command": (["fly"], "fly"),
    "unknown family": (["train", "gan", *TRAIN[2:]], "'gan'.*lstm-lm"),
    "unknown corpus": (["train", "vae", "--corpus", "nowhere.txt"], "nowhere.txt.*ptb"),
    "unknown scale": ([*TRAIN, "--scale", "huge"], "huge.*smoke"),
    "unknown option": ([*TRAIN, "--set", "gama=1"], "no option 'gama'"),
    "a near miss": ([*TRAIN, "--set", "hiden=1"], "did you mean hidden"),
    "option of another family": ([*TRAIN, "--set", "gamma2=1"], "gamma"),
    "no equals sign": ([*TRAIN, "--set", "lr"], "--set lr: write NAME=VALUE"),
    "no name": ([*TRAIN, "--set", "=3"], "no option ''"),
    "not a number": ([*TRAIN, "--set", "lr=fast"], "lr: 'fast'"),
    "not a whole number": ([*TRAIN, "--set", "epochs=1.5"], "epochs: '1.5' is not a whole number"),
    "not finite": ([*TRAIN, "--set", "epochs=inf"], "epochs: 'inf'"),
    "nothing": ([*TRAIN, "--set", "lr="], "lr: ''"),
    "zero": ([*TRAIN, "--set", "batch_size=0"], "batch_size: must be positive"),
    "out of range": ([*TRAIN, "--set", "dropout_in=1.5"], "dropout_in"),
    "not a choice": ([*TRAIN, "--set", "optimiser=lion"], "lion.*adam"),
    "seed": ([*TRAIN, "--seed", "x"], "--seed.*'x'"),
    "device": ([*TRAIN, "--device", "tpu"], "device: 'tpu'.*try cpu"),
    "device without memory": ([*TRAIN, "--device", "meta"], "device: 'meta'"),
    "device number": ([*TRAIN, "--device", "cuda:99"], "device: 'cuda:99'"),
    "missing data": (["train", "vae", "--corpus", "ptb", "--data", "{empty}"], "ptb.*data folder"),
    "runs is a file": ([*TRAIN, "--runs", "{reviews}"], "cannot be made a folder"),
    "tiny file": (["train", "vae", "--corpus", "{tiny}", "--scale", "smoke"], "tiny.txt: 3 different sentences"),
    "empty file": (["train", "vae", "--corpus", "{nothing}", "--scale", "smoke"], "nothing.txt: 0 different"),
    "binary file": (["train", "vae", "--corpus", "{binary}", "--scale", "smoke"], "binary.txt, line 2: a NUL byte"),
    "latin-1 file": (["train", "vae", "--corpus", "{latin}", "--scale", "smoke"], "latin.txt, line 1: .*UTF-8"),
    "folder without files": (["train", "vae", "--corpus", "{empty}", "--scale", "smoke"], "train.txt: no such file"),
    "two of three files": (["train", "vae", "--train", "{reviews}", "--test", "{reviews}"], "no valid file"),
    "unknown run": (["measure", "zzz"], "'zzz'.*there is none"),
    "ambiguous run": (["measure", "reviews", "--runs", "{trained}"], "2 runs fit: lstm-lm-reviews.*vae-reviews"),
    "unfinished run": (["sample", "ae", "--runs", "{unfinished}"], "training is not finished"),
    "damaged run": (["sample", "vae", "--runs", "{damaged}"], "model.safetensors does not match.*ceae train"),
    "no samples": (["sample", "vae", "-n", "0", "--runs", "{trained}"], "-n"),
    "unknown decoding": (["sample", "vae", "--decode", "beam", "--runs", "{trained}"], "beam.*greedy"),
    "no temperature": (["sample", "vae", "--temperature", "0", "--runs", "{trained}"], "temperature: must be positive"),
    "no length": (["sample", "vae", "--max-length", "0", "--runs", "{trained}"], "--max-length"),
    "out in no folder": (["sample", "vae", "--out", "no/f", "--runs", "{trained}"], "--out no/f: cannot be written"),
    "out is a folder": (["sample", "vae", "--out", ".", "--runs", "{trained}"], "--out .: cannot be written"),
    "report in no folder": (["report", "--csv", "no/f"], "--csv no/f: cannot be written"),
    "no weights": (["measure", "vae", "--iw-samples", "0", "--runs", "{trained}"], "iw_samples: must be at least 1"),
    "measure on no device": (["measure", "vae", "--device", "x", "--runs", "{trained}"], "device: 'x'"),
    "unknown action": (["runs", "burn"], "burn.*prune"),
    "record what": (["runs", "record"], "name the run"),
    "fetch what": (["data", "fetch"], "name the corpus"),
    "no specification": (["run-spec"], "not a run specification"),
}


@pytest.fixture(scope="module")
def places(reviews: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files and folders that the errors above are about, by name."""
    folder = tmp_path_factory.mktemp("places")
    files = {"tiny": b"one\ntwo\nthree\n", "nothing": b"", "binary": b"text\nmore\0text\n", "latin": b"caf\xe9\n"}
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content)
    (folder / "empty").mkdir()
    (folder / "unfinished" / ("ae-reviews-smoke-s1-" + "0" * 12)).mkdir(parents=True)
    shutil.copytree(trained, folder / "damaged")
    weights, = (folder / "damaged").glob("vae-*/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    return {"reviews": reviews, "trained": trained, **{name: folder / f"{name}.txt" for name in files},
            **{name: folder / name for name in ("empty", "unfinished", "damaged")}}


@pytest.mark.parametrize("case", ERRORS)
def test_errors_are_one_clear_line(case: str, ceae, places: dict[str, Path], monkeypatch) -> None:
    arguments, words = ERRORS[case]
    monkeypatch.setattr(sys, "stdin", open(os.devnull))
    said = ceae(*(a.format(**places) for a in arguments))
    assert said.status == 2 and said.out == ""
    lines = said.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("ceae: "), lines
    assert re.search(words, lines[0]), lines


def test_a_text_that_changed_is_another_run(ceae, reviews: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(reviews.read_bytes())
    first = ceae("train", "vae", "--corpus", path, "--scale", "smoke", "--json", *SMALL).json["run"]
    path.write_bytes(path.read_bytes().replace(b"the", b"teh", 1))
    said = ceae("measure", first)
    assert said.status == 2 and "has changed" in said.last
    assert ceae("train", "vae", "--corpus", path, "--scale", "smoke", "--json", *SMALL).json["run"] != first


def test_a_published_file_with_a_flipped_byte_is_refused(ceae, tmp_path: Path) -> None:
    data = Path(os.environ.get("CEAE_DATA", ""))
    if not (data / "ptb" / "train.txt").is_file():
        pytest.skip("CEAE_DATA is unset or has no ptb/train.txt")
    shutil.copytree(data / "ptb", tmp_path / "data" / "ptb")
    path = tmp_path / "data" / "ptb" / "train.txt"
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    said = ceae("train", "vae", "--corpus", "ptb", "--data", "data", "--scale", "smoke")
    assert said.status == 2 and "train.txt: not the published file" in said.last and said.err.count("\n") == 1


def test_data_lists_the_corpora(ceae) -> None:
    said = ceae("data", "--json")
    assert {"ptb", "oracle", "yahoo"} <= {row["name"] for row in said.json["corpora"]}
    assert "ptb" in ceae("data").out and "ptb" in ceae("data", "list").out


def test_version_and_help(ceae) -> None:
    assert ceae("--version").out.strip()
    for command in ("zoo", "data", "train", "measure", "sample", "runs", "report"):
        assert ceae(command, "--help").status == 0

"""Synthetic clusters: measures against loops, a step against plain PyTorch, seeds side by side against each alone."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ceae_core.errors import CeaeError
from ceae_core.experiments import clusters
from ceae_core.experiments.clusters import MODELS, Trainings, train
from ceae_core.experiments.stacked import Streams
from ceae_core.runs import Store

K, BATCH, INNER, RATE, TEMPERATURE = 3, 12, 2, 1e-2, 0.1
SHORT = dict(categories=K, steps=4, lr=RATE, log_every=2, batch=BATCH, evaluated=10)


def started(model: str, seeds=(1,), mask: bool = False) -> Trainings:
    return Trainings(MODELS[model], K, seeds, RATE, BATCH, INNER, mask, TEMPERATURE)


@pytest.fixture
def codes() -> torch.Tensor:
    """Codes (2, 4, 6, 2) around four centres, which overlap a little for the second seed."""
    noise = torch.randn(2, 4, 6, 2, generator=torch.Generator().manual_seed(3))
    centres = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 3.0], [3.0, 3.0]]).view(1, 4, 1, 2)
    return centres + noise * torch.tensor([0.3, 1.5]).view(2, 1, 1, 1)


# measures ------------------------------------------------------------------------------------------------------------

def test_accuracy_and_distances_are_their_definitions(codes):
    for points, accuracy, intra, inter, moment in zip(
            codes.double().numpy(), *(measure(codes).tolist() for measure in (
                clusters.accuracy, clusters.intra_distance, clusters.inter_distance, clusters.second_moment)),
            strict=True):
        centroids = [np.mean(own[:3], axis=0) for own in points]
        right, away = 0, []
        for k, own in enumerate(points):
            for z in own[3:]:
                distances = [math.dist(z, centroid) for centroid in centroids]
                right += distances.index(min(distances)) == k
                away.append(distances[k])
        between = [math.dist(a, b) for a, b in itertools.combinations(centroids, 2)]
        assert accuracy == pytest.approx(right / 12)
        assert intra == pytest.approx(np.mean(away), rel=1e-5)
        assert inter == pytest.approx(np.mean(between), rel=1e-5)
        assert moment == pytest.approx(np.mean(points ** 2), rel=1e-5)
    assert clusters.accuracy(codes)[0] == 1 > clusters.accuracy(codes)[1]


def test_accuracy_of_codes_without_information_is_chance():
    nothing = torch.randn(1, 8, 4000, 2, generator=torch.Generator().manual_seed(0))
    assert clusters.accuracy(nothing).item() == pytest.approx(1 / 8, abs=0.02)


def test_decoded_is_the_share_of_the_right_argmax():
    logits = torch.tensor([[[2.0, 1.0], [0.0, 1.0], [3.0, 4.0]]])
    assert clusters.decoded(logits, torch.tensor([[0, 1, 0]])).item() == pytest.approx(2 / 3)


def test_reconstruction_loss_is_the_cross_entropy_with_the_right_sign():
    logits = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(1))
    labels = torch.tensor([[0, 1, 2, 3, 0], [3, 3, 1, 0, 2]])
    target = F.one_hot(labels, 4).float()
    expected = F.binary_cross_entropy(logits.sigmoid(), target, reduction="none").sum(-1)
    torch.testing.assert_close(clusters.reconstruction_loss(logits, labels), expected)
    # the example of the wrong sign: the wrong logits at 5 cost 3 x 5 nats, and do not earn them
    wrong = torch.tensor([0.0, 5.0, 5.0, 5.0])
    value = clusters.reconstruction_loss(wrong, torch.tensor(0)).item()
    assert value == pytest.approx(math.log(2) + 3 * math.log1p(math.exp(5)), rel=1e-6)


# a step --------------------------------------------------------------------------------------------------------------

def layers(stacked, activation: type[nn.Module]) -> nn.Sequential:
    """The first seed's network as a plain one."""
    parts: list[nn.Module] = []
    for weight, bias in zip(stacked.weights, stacked.biases, strict=True):
        linear = nn.Linear(weight.size(2), weight.size(1))
        linear.load_state_dict({"weight": weight[0].detach().clone(), "bias": bias[0, :, 0].detach().clone()})
        parts += [linear, activation()]
    return nn.Sequential(*parts[:-1])


class Naive:
    """One seed of a model, written out: no seed axis, no shared losses, PyTorch's plain Adam."""

    def __init__(self, name: str, mask: bool) -> None:
        of = started(name, mask=mask)
        self.name, self.mask, self.views = name, mask, 2 if name.startswith("c") else 1
        self.draws = Streams([1], "steps")
        activation = nn.ELU if name == "vae" else nn.LeakyReLU
        self.encoder, self.decoder = layers(of.encoder, activation), layers(of.decoder, activation)
        self.optimiser = torch.optim.Adam([*self.encoder.parameters(), *self.decoder.parameters()],
                                          2 * RATE if name == "vae" else RATE)
        if name != "vae":
            self.critic = layers(of.critic, nn.LeakyReLU)
            self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), RATE)

    def f(self, x, z):
        return self.critic(torch.cat([x, z], 1))[:, 0]

    def fit_critic(self, x, codes) -> None:
        draws = self.draws.normal(INNER, self.views * BATCH, 2)[0]
        for prior in draws:
            loss = 0.0
            for z, p in zip(codes, prior.split(BATCH), strict=True):
                f_q, e_p = self.f(x, z.detach()).mean(), self.f(x, p).exp().mean()
                loss = loss + ((1 + (-f_q).exp()).log() + (1 + e_p.exp()).log() if "+" in self.name else e_p - f_q)
            loss = loss / self.views
            if "+" in self.name:
                loss = loss + ((self.f(x, codes[0].detach()) - self.f(x, codes[1].detach())) ** 2).mean()
            self.critic_optimiser.zero_grad()
            loss.backward()
            self.critic_optimiser.step()

    def contrast(self, first, second, labels):
        total = 0.0
        for i in range(BATCH):
            def similar(other, anchor=first[i]):
                return anchor @ other / anchor.norm() / other.norm() / TEMPERATURE
            others = [j for j in range(BATCH) if j != i and not (self.mask and labels[j] == labels[i])]
            below = similar(second[i]).exp() + sum(similar(first[j]).exp() for j in others)
            total = total - similar(second[i]) + below.log()
        return total / BATCH

    def step(self) -> None:
        labels = self.draws.integers(K, BATCH)[0]
        x = F.one_hot(labels, K).float()
        noises = self.draws.normal(self.views, BATCH, 2)[0]
        if self.name == "vae":
            out = self.encoder(x)
            mu, logvar = out[:, :2], out[:, 2:]
            codes = [mu + logvar.exp().sqrt() * noises[0]]
            loss = (0.5 * (mu ** 2 + logvar.exp() - logvar - 1)).sum(1).mean()
        else:
            codes = [self.encoder(torch.cat([x, noise], 1)) for noise in noises]
            self.fit_critic(x, codes)
            means = [self.f(x, z).mean() for z in codes]
            sign = {"cvae+": -1, "cvae+ adversarial": 1}.get(self.name)
            loss = sum(mean if sign is None else (1 + (sign * mean).exp()).log() for mean in means) / self.views
        for z in codes:
            y = self.decoder(z).sigmoid()
            right = y[torch.arange(BATCH), labels].log()
            wrong = ((1 - x) * (1 - y).log()).sum(1)
            loss = loss - (right + wrong).mean() / self.views
        if self.views == 2:
            loss = loss + self.contrast(*codes, labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()


@pytest.mark.parametrize(("name", "mask"), [*((name, False) for name in MODELS), ("cvae", True), ("cvae+", True)])
def test_steps_are_those_of_plain_pytorch(name, mask):
    stacked, naive = started(name, seeds=(1, 2), mask=mask), Naive(name, mask)
    for _ in range(3):
        stacked.step()
        naive.step()
    parts = ("encoder", "decoder") + (("critic",) if name != "vae" else ())
    for part in parts:
        of, plain = getattr(stacked, part), [layer for layer in getattr(naive, part) if isinstance(layer, nn.Linear)]
        for weight, bias, layer in zip(of.weights, of.biases, plain, strict=True):
            # Adam's first steps have the size of the rate, whatever the gradient's: a hundredth of it is a close match
            torch.testing.assert_close(weight[0], layer.weight, rtol=1e-3, atol=RATE / 100)
            torch.testing.assert_close(bias[0, :, 0], layer.bias, rtol=1e-3, atol=RATE / 100)


def test_the_signs_of_the_circle_loss_move_the_encoder_apart():
    printed, adversarial, plain = (started(name) for name in ("cvae+", "cvae+ adversarial", "cvae"))
    for one, other in ((printed, adversarial), (printed, plain), (adversarial, plain)):
        one.step()
        other.step()
        apart = [(a - b).detach().abs().max().item() for a, b in zip(one.trained, other.trained, strict=True)]
        assert max(apart) > RATE / 10


def test_masking_leaves_only_negatives_of_other_categories():
    masked = started("cvae", mask=True)
    labels = torch.zeros(1, BATCH, dtype=torch.long)
    views = [torch.randn(1, BATCH, 2, generator=torch.Generator().manual_seed(i)) for i in range(2)]
    assert masked._contrast(views, labels).item() == pytest.approx(0.0, abs=1e-6)       # nothing to tell it from
    assert started("cvae")._contrast(views, labels).item() > 1.0


# a training ----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", MODELS)
def test_seeds_side_by_side_are_each_seed_alone(name):
    options = {"model": name, "snapshots": [0, 4], **SHORT}
    together = train(**options, seeds=[1, 2])
    for i, seed in enumerate((1, 2)):
        alone = train(**options, seeds=[seed])
        for measure, values in alone["measures"].items():
            np.testing.assert_allclose([row[i] for row in together["measures"][measure]],
                                       [row[0] for row in values], rtol=2e-3, atol=2e-3, err_msg=measure)
        if i == 0:
            np.testing.assert_allclose(together["codes"]["4"], alone["codes"]["4"], rtol=1e-2, atol=2e-3)


def test_a_training_repeats_and_differs_between_seeds():
    options = {"model": "cvae+", "snapshots": [4], **SHORT}
    one, again, other = train(**options, seeds=[1]), train(**options, seeds=[1]), train(**options, seeds=[3])
    assert one == again
    assert one["codes"] != other["codes"] and one["measures"]["bce"][0] != other["measures"]["bce"][0]


def test_what_a_training_returns():
    result = train(model="ivae", seeds=[1, 2, 3], snapshots=[0, 3], **{**SHORT, "steps": 5})
    assert result["steps"] == [0, 2, 3, 4, 5] and list(result["codes"]) == ["0", "3"]
    assert np.array(result["codes"]["3"]).shape == (K, 10, 2)           # of the first seed, all draws: there are few
    assert {np.array(values).shape for values in result["measures"].values()} == {(5, 3)}
    assert set(result["measures"]) == {"accuracy", "decoded", "intra", "inter", "second_moment", "bce", "kl"}
    assert result["measures"]["bce"][0] != result["measures"]["bce"][-1]


def test_measures_are_those_of_the_networks():
    """bce and kl from the networks themselves, on the very draws."""
    made = started("vae")
    draws = Streams([1], "measurement").normal(2, K * 10, 2)
    measured, codes = clusters._measure(made, draws)
    encoder, decoder = layers(made.encoder, nn.ELU), layers(made.decoder, nn.ELU)
    labels = torch.arange(K).repeat_interleave(10)
    mu, logvar = encoder(torch.eye(K)[labels]).chunk(2, 1)
    z = mu + (logvar / 2).exp() * draws[0, 0]
    torch.testing.assert_close(codes[0].flatten(0, 1), z, rtol=1e-4, atol=1e-5)
    normal = torch.distributions.Normal(mu, (logvar / 2).exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(1).mean()
    bce = F.binary_cross_entropy(decoder(z).sigmoid(), torch.eye(K)[labels], reduction="sum") / len(z)
    assert measured["kl"].item() == pytest.approx(kl.item(), rel=1e-4)
    assert measured["bce"].item() == pytest.approx(bce.item(), rel=1e-4)
    made = started("ivae")
    measured, codes = clusters._measure(made, draws)
    critic, x = layers(made.critic, nn.LeakyReLU), torch.eye(K)[labels]
    f_q, f_p = (critic(torch.cat([x, points], 1))[:, 0] for points in (codes[0].flatten(0, 1), draws[0, 1]))
    assert measured["kl"].item() == pytest.approx((f_q.mean() - f_p.exp().mean() + 1).item(), abs=1e-5)


def test_a_training_that_overflows_says_none():
    made = train(model="ivae", seeds=[1], **{**SHORT, "lr": 1e30})
    assert made["measures"]["bce"][0][0] > 0 and made["measures"]["bce"][-1] == [None]


def test_a_contrast_separates_two_categories_in_a_few_steps():
    result = train(model="cvae+", categories=2, steps=60, lr=5e-3, seeds=[1, 2], log_every=60, batch=64, evaluated=100)
    assert min(result["measures"]["accuracy"][-1]) > 0.95


@pytest.mark.parametrize(("change", "message"), [
    ({"model": "gan"}, "model"), ({"categories": 1}, "categories"), ({"batch": 1}, "batch"), ({"seeds": []}, "seeds"),
    ({"log_every": 0}, "log_every"), ({"evaluated": 1}, "evaluated"), ({"steps": -1}, "steps")])
def test_bad_values_are_named(change, message):
    with pytest.raises(CeaeError, match=message):
        train(**{"model": "vae", "seeds": [1], **SHORT, **change})


def test_results_are_computed_once_and_in_their_order(tmp_path, monkeypatch):
    wanted = [{"model": model, "seeds": [1], **SHORT} for model in ("vae", "ivae")]
    first = clusters.obtain(wanted, store=Store(tmp_path))
    assert [content["parameters"]["model"] for content in first] == ["vae", "ivae"]
    assert first[0]["result"] == train(**wanted[0]) and first[0]["version"] == clusters.VERSION
    monkeypatch.setattr(clusters, "train", None)
    assert clusters.obtain(wanted[::-1], store=Store(tmp_path)) == first[::-1]


def test_scales_go_the_same_way_and_show_the_same_points():
    paper = clusters.SCALES["paper"]
    way = paper["steps"] * paper["lr"]
    for scale in clusters.SCALES.values():
        assert scale["steps"] * scale["lr"] == pytest.approx(way)
        assert set(scale["snapshots"]) == {round(step * scale["steps"] / paper["steps"] + 1e-9)
                                           for step in paper["snapshots"]}


def test_what_is_recorded_is_written_one_by_one(tmp_path, monkeypatch):
    tiny = {"steps": 1, "lr": 1e-5, "log_every": 1, "batch": 4, "evaluated": 4}
    monkeypatch.setattr(clusters, "RECORDED", ((("vae", "ivae"), 3, [1], tiny), (("vae",), 2, [1, 2], tiny)))
    written = []
    monkeypatch.setattr(clusters.experiments, "record", lambda content: written.append(content["parameters"]))
    clusters.record_all(Store(tmp_path))
    assert [(p["model"], p["categories"], p["seeds"]) for p in written] == [
        ("vae", 3, [1]), ("ivae", 3, [1]), ("vae", 2, [1, 2])]


def test_recorded_trainings_keep_to_the_original_rate():
    for models, categories, _, options in clusters.RECORDED:
        assert set(models) <= set(MODELS) and categories in (4, 8, 16) and options["lr"] == 1e-5
        assert max(options["snapshots"]) == options["steps"]

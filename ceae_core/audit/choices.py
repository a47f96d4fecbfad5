"""What the papers leave open and a reproducer must choose, and what this project chose.

What was chosen is read from the zoo, the settings and the signatures of the code, so that it cannot differ from what
is run; a choice that has no option says where it is made.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from ceae_core import generate, scales, zoo
from ceae_core.audit.finding import Evidence, Finding
from ceae_core.errors import CeaeError
from ceae_core.experiments import clusters
from ceae_core.options import options_of
from ceae_core.spec import Settings

RULE = "by the rule"            # how an option without a value of its own is shown
NAMES = {"settings": "all families", "transformer": "transformers", "sample": "samples", "clusters": "clusters"}


def sources(name: str) -> Mapping[str, Any]:
    """Option -> value of a family ("ceae"), of all families ("settings") or of transformers, of generated text
    ("sample") or of the synthetic clusters ("clusters"), all at scale `paper`.  Raises CeaeError for another name."""
    if name == "settings":
        return asdict(Settings())
    if name == "transformer":
        return {**asdict(Settings()), **scales.TRANSFORMER}
    if name == "sample":
        return options_of(generate.sample)
    if name == "clusters":
        return {**clusters.SCALES["paper"], "hidden": clusters.HIDDEN, "latent": clusters.LATENT}
    family = zoo.family(name)
    stack = family.settings.get("stack", Settings.stack)
    return {**asdict(Settings()), **scales.STACK_SETTINGS.get(stack, {}), **family.settings, **family.defaults()}


def chosen(reference: str) -> Any:
    """The value behind "source.option".  Raises CeaeError when there is no such option."""
    source, _, option = reference.partition(".")
    known = sources(source)
    if option not in known:
        raise CeaeError(f"choice {reference}: {source} has no option {option!r}; it has {', '.join(known)}")
    return known[option]


def said(value: Any) -> str:
    """A value as a page shows it."""
    if value is None:
        return RULE
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def check_options(references: tuple[str, ...]) -> Evidence:
    """Every named option exists; shown with the value it has."""
    values = {reference: chosen(reference) for reference in references}
    groups: dict[str, list[str]] = {}
    for reference, value in values.items():
        source, _, option = reference.partition(".")
        groups.setdefault(NAMES.get(source, source), []).append(f"`{option}` {said(value)}")
    text = "; ".join(f"{name}: {', '.join(options)}" for name, options in groups.items())
    return Evidence(len(values) == len(references), f"{text}.",
                    {name: float(value) for name, value in values.items() if isinstance(value, int | float)})


def choice(key: str, place: str, question: str, reading: str, *options: str, verdict: str = "open",
           see: str = "", basis: str = "") -> Finding:
    """A finding of kind choice: what is left open, how it is read here, and the options that hold the choice."""
    paper = key.split("-")[1]
    check = partial(check_options, options) if options else None
    return Finding(key, paper, place, "choice", verdict, question, reading, check, basis, see)


FINDINGS = (
    choice("choice-ceae-similarity", "section 3.1, appendix B",
           "Temperature; raw, scaled or normalised inner products; positive in the denominator or not",
           "The temperature is set to 1 “for the sake of exposition”. We take the formula as printed: raw inner "
           "products of batch-normed codes, without the positive.",
           "ceae.temperature", "ceae.normalise", "ceae.include_positive"),
    choice("choice-ceae-reduction", "sections 3.1, A.1", "Sum or mean of the contrastive loss over a batch",
           r"It is printed as a sum over the data set, reconstruction per item; $\lambda_0$ has no meaning without "
           "this. We take means of both, as the released BN-VAE code does.", "ceae.reduction", "ceae.lambda0"),
    choice("choice-ceae-negatives", "section A.4", "Which codes are negatives, and what the cached minibatches are",
           "The other codes of the batch and the momentum encoder's codes of the last batches, kept as they were. "
           "Codes and negatives enter without noise.", "ceae.cached_batches", "settings.batch_size"),
    choice("choice-ceae-momentum", "sections A.1 and A.4", r"$m$ of the momentum encoder",
           "A.1 names one value, A.4 another for the figures reported. We take that of A.4. Whether momentum codes "
           "pass batch norm is not said: here they do, in the same mode as the codes.",
           "ceae.momentum", verdict="contradictory"),
    choice("choice-ceae-noise", "sections A.1, A.4",
           r"$t_{\max}$, $c_0$ of each corpus, the form of the switch to no noise",
           r"$t_{\max}$ is our choice; $c_0$ follows from the rule of A.4 for the corpus and the latent size; the "
           r"noise stays $c_0/t$ through an epoch and then drops to zero. Epochs are counted from one.",
           "ceae.c0", "ceae.t_max"),
    choice("choice-ceae-training", "sections A.2, A.4", "Epochs, learning-rate rule, batches",
           "As in the released BN-VAE code, by which the paper sets everything it does not name. Below scale `paper` "
           "trainings are short and use Adam ({doc}`training`).", "ceae.lr", "settings.epochs", "settings.patience",
           "settings.first_decay", "settings.max_decays", "settings.batching", "settings.clip"),
    choice("choice-ceae-batch-norm", "section A.4",
           "What “global statistics every K = 5 minibatches” does; scale and shift",
           "On every such step the running statistics normalise, gradients still flow through the codes. CEAE has no "
           "learnt scale or shift, BN-VAE a learnt shift.", "ceae.norm", "ceae.global_every", "bn-vae.gamma",
           "bn-vae.learn_shift"),
    choice("choice-ceae-sizes", "section A.2", "Latent size",
           "The stated size is the embedding size of the released BN-VAE settings, whose latent size is smaller. The "
           "rows of Table 1 are comparable with the latter only, see the {ref}`findings on equations "
           "<sec-audit-equations>`.", "settings.latent", "settings.embedding", "settings.hidden"),
    choice("choice-ceae-stack", "section A.2", "Dropout, initialisation, vocabulary",
           "By reference to the released BN-VAE code.", "settings.dropout_in", "settings.dropout_out", "settings.init",
           "settings.vocabulary"),
    choice("choice-ceae-samples", "section 4.2", "Decoding of samples for forward and reverse perplexity",
           "Neither greedy decoding, sampling or beam nor the greatest length is given. Treatment of empty and "
           "repeated samples, of words that the samples lack, and of the end symbol under GPT-2 are open too.",
           "sample.how", "sample.max_length", "sample.temperature"),
    choice("choice-ceae-transformer", "sections A.2, A.4, A.5",
           "Latent size, heads, pooling of transformers, and how the code enters",
           "Six layers are stated, the cited package has sixteen. “The same KL weight” is kept, though CEAE has no KL. "
           "For OPTIMUS neither latent size nor the chosen weight is given. Here the sentence is read at the start "
           "token, and the code enters as one more place of every layer and as a part of every word.",
           "transformer.layers", "transformer.heads", "transformer.latent", "optimus.latent", "optimus.dim_target"),
    choice("choice-ceae-studies", "section 5, appendices D, E, G", "Questions, raters, GPT-4 and BERT",
           "Number and allocation of questions, agreement; version, temperature and order for GPT-4; layer, pooling "
           "and similarity for BERT; what varies over the ten runs, and against whom the t-test is.",
           basis="Nothing chosen where people or GPT-4 answer; BERT's layer, pooling and similarity are options of "
                 "`ceae agreement`."),
    choice("choice-clvm-contrast", "section 3.3", "Temperature and weight of the contrast, and what makes the views",
           "The temperature is that of SimCSE, which the paper follows; the weight is one, as printed. Dropout acts on "
           "the word embeddings and the sentence vector.", "cvae.contrast_temperature", "cvae.contrast",
           "cvae.encoder_dropout", "cvae.augment", "cvae.swap_probability", "cvae.rec_views"),
    choice("choice-clvm-circle", "section 3.3, Algorithm 1", "Sign and scale of the circle loss, weight of the square",
           "Both signs of the encoder's term can be trained; the printed one is the default. Means over the batch, as "
           "in Eq. 13, and the square that the text of Eq. 17 names.", "cvae+.encoder_sign", "cvae+.square_weight",
           "cvae+.clamp_exp"),
    choice("choice-clvm-critics", "section 3.2, Algorithm 1",
           "Widths, optimiser and updates of the critics, the noise head",
           "As in the released iVAE code, whose head is one linear layer: then the posterior is Gaussian with constant "
           "covariance and its KL has a closed form ({doc}`kl_negativity`).", "ivae.critic_hidden",
           "ivae.critic_layers", "ivae.critic_lr", "ivae.inner_updates", "ivae.noise_head"),
    choice("choice-clvm-training", "section 4.1", "Optimiser, rate, batch size, epochs, annealing, latent size",
           "Only the number of active units tells that there are at least as many latent units. All as in the released "
           "iVAE code.", "ivae.optimiser", "ivae.lr", "ivae.batch_size", "ivae.epochs", "ivae.kl_start",
           "ivae.warmup_epochs", "ivae.latent", "ivae.clip_scope"),
    choice("choice-clvm-evaluation", "section 4.2", "Which KL enters −ELBO, whether critics are fitted again, MI",
           "Not said for the circle models and those with MI. Here every implicit model has the critics' reading, with "
           "its + 1, beside the exact KL and an importance-weighted bound ({doc}`ptb_language_modelling`).",
           "settings.iw_samples", "settings.iw_sentences"),
    choice("choice-clvm-generation", "section 4.3", "Decoding and the 5-gram models of forward and reverse perplexity",
           "Samples, decoding, discounts, unknown words and the end symbol are open. The released iVAE script adds "
           "every word of the vocabulary to the text behind the reverse model and by default scores the training file, "
           "where Table 4 names the test set.", "sample.how", "sample.max_length"),
    choice("choice-clvm-clusters", "section 4.1", "Widths, rates and the two views of the synthetic clusters",
           "As in the released iVAE code; the views are two draws of the noise. The second term of the loss has the "
           "minus that a cross-entropy needs.", "clusters.hidden", "clusters.steps", "clusters.lr", "clusters.latent"),
)

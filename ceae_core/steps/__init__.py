"""Training steps, and what follows the last one: the only control flow in which families differ."""

from ceae_core.steps.adversarial import adversarial, adversarial_two_views
from ceae_core.steps.aggressive import aggressive
from ceae_core.steps.context import Context
from ceae_core.steps.decoder_first import decoder_first
from ceae_core.steps.joint import joint, joint_two_views
from ceae_core.steps.posthoc import fit_prior
from ceae_core.steps.pretrained import pretrained
from ceae_core.steps.semi_amortised import semi_amortised

__all__ = ["Context", "adversarial", "adversarial_two_views", "aggressive", "decoder_first", "fit_prior", "joint",
           "joint_two_views", "pretrained", "semi_amortised"]

"""The audit of the two papers: findings, each with the computation that shows it where one can be made."""

from ceae_core.audit import (
    choices,
    claims,
    claims_clvm,
    equations_channel,
    equations_circle,
    equations_clvm,
    equations_contrast,
    equations_kernel,
    equations_vae,
    numbers,
    spreads,
)
from ceae_core.audit.finding import Finding

MODULES = (equations_vae, equations_channel, equations_contrast, equations_kernel, equations_clvm, equations_circle,
           numbers, spreads, claims, claims_clvm, choices)
FINDINGS: tuple[Finding, ...] = tuple(finding for module in MODULES for finding in module.FINDINGS)

"""Which pretrained weights a run starts from: part of what the run is by their content, found by where they are now."""

import re
from collections.abc import Mapping
from pathlib import Path

from ceae_core import pretrained
from ceae_core.errors import CeaeError, NotRun
from ceae_core.pretrained import Pretrained

SCRATCH = "scratch"
KINDS = {"encoder": "encoder", "decoder": "causal"}     # setting -> kind of model
MAY_LACK = {"encoder": "pooler", "decoder": None}       # weights that are drawn where a checkpoint lacks them
BUILT_IN = (pretrained.MINILM, SCRATCH)                 # what needs no place: its content is fixed by this version
IDENTITY = re.compile(r"(?P<name>.+)@(?P<sha256>[0-9a-f]{16})")


def identify(side: str, asked: str) -> tuple[str, str | None]:
    """`name@digest of the weights` for the folder, the name on the hub or the identity asked for, and where they are.

    Raises NotRun where the weights are missing, CeaeError where they are not those of an identity.
    """
    if asked in BUILT_IN:
        return asked, None
    known = IDENTITY.fullmatch(asked)
    source = known["name"] if known and not Path(asked).is_dir() else asked
    folder = Path(source).expanduser()
    source = str(folder.absolute()) if folder.is_dir() else source
    found = pretrained.load(source, KINDS[side], f"{side} {asked}", may_lack=MAY_LACK[side])
    identity = f"{found.name}@{found.sha256}"
    if known and source != asked and identity != asked:
        raise CeaeError(f"{side} {asked}: {source} has other weights now, {identity}; give the folder of those meant")
    return identity, source


def load(side: str, identity: str, source: Mapping[str, str], who: str) -> Pretrained:
    """The weights of an identity, from where `source` says that they are; `who` is the run that needs them.

    Raises NotRun where they are not there (any more), CeaeError where they have changed.
    """
    place = source.get(side, identity)
    again = f"repeat its `ceae train` command with --set {side}=FOLDER or NAME"
    if Path(place).is_absolute() and not Path(place).is_dir():
        raise NotRun(f"{who}: its {side} {identity} was in {place}, which is not here; {again}")
    found = pretrained.load(place, KINDS[side], f"{who}, {side}", may_lack=MAY_LACK[side])
    if identity not in (*BUILT_IN, f"{found.name}@{found.sha256}"):
        raise CeaeError(f"{who}: its {side} is {identity}, but {place} has {found.name}@{found.sha256} now; {again}")
    return found

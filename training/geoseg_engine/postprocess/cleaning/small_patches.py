"""Cleaning that looks at whole patches: holes are filled, small patches go.

The raster is gone through in strips, three times if it has more than one: to learn how large the patches are that cross
borders of strips; to decide about groups of patches to go that touch such a border; and to write. In memory are one
strip and tables of the patches and groups at the borders, so the answer does not depend on the strips, and memory
not on the raster, unless so much of it is to go that groups span many strips.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...channel import Channel
from ...contract import IGNORE
from ...raster.grid import Window
from ...raster.stream import pump
from .flood import Facts, code_of, flood, seeds
from .patch_borders import Crossing, PatchScan, Strips, nothing_crosses
from .patches import Codes, Ints, Mask, Pairs, Patches, find_patches, grouped, pairs_within, unique_pairs

STRIP_PIXELS = 1 << 22
KEPT_BYTES = 200_000_000
"""Patches of strips that are kept from one reading to the next, while they take no more than this."""


@dataclass(frozen=True)
class Step:
    """What patches are to go.

    Attributes:
        phase: name of the progress.
        limit_px: patches of fewer pixels.
        holes: only those that touch one class only and no edge.
    """

    phase: str
    limit_px: int
    holes: bool = False

    def going(self, facts: Facts) -> Mask:
        """Which patches are to go."""
        small = (facts.size_px < self.limit_px) & (facts.code != IGNORE)
        return small & ~facts.at_edge & (facts.lowest == facts.highest) if self.holes else small


@dataclass(frozen=True)
class Decided:
    """What is to be done with a strip's patches.

    Attributes:
        patches, facts: of the strip.
        going: which are to go.
        far: those of them in a group that touches a border of strips.
        nodes: their numbers in the graph of all such groups.
    """

    patches: Patches
    facts: Facts
    going: Mask
    far: Mask
    nodes: Ints

    def seeds(self) -> Ints:
        """See `flood.seeds`."""
        return seeds(self.patches.touching, self.going, self.facts.key)


class Groups:
    """Groups of patches to go that touch a border of strips, gathered strip by strip.

    Their nodes are first the wholes of `Crossing`, then all other patches of such groups in the order of strips.
    """

    def __init__(self, strips: Strips, step: Step, crossing: Crossing) -> None:
        self._strips, self._step, self._crossing = strips, step, crossing
        self._first = [len(crossing.facts.code)]
        self._nodes: list[Ints] = []
        self._keys: list[Ints] = []
        self._seeds: list[Ints] = []
        self._pairs: list[Pairs] = []
        self._taken: Codes = np.empty(0, np.uint8)

    def decided(self, index: int, patches: Patches) -> Decided:
        """Return which patches of a strip are removed; the strips before it must have been added.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        pieces = self._strips.crossing(index, patches)
        facts = self._crossing.completed(self._strips.facts(index, patches), pieces, index)
        going = self._step.going(facts)
        groups, group = grouped(pairs_within(patches.touching, going), len(going))
        at_border = np.zeros(groups, bool)
        at_border[group[pieces[going[pieces]]]] = True
        far = going & at_border[group]
        inner = far.copy()
        inner[pieces] = False
        nodes = np.full(len(going), -1, np.int64)
        nodes[pieces] = self._crossing.wholes(index)
        nodes[inner] = self._first[index] + np.arange(inner.sum())
        return Decided(patches, facts, going, far, nodes)

    def add(self, index: int, patches: Patches) -> None:
        """Add the groups of the next strip.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        found = self.decided(index, patches)
        nodes = found.nodes[found.far]
        self._first.append(max(int(nodes.max(initial=-1)) + 1, self._first[-1]))
        self._nodes.append(nodes)
        self._keys.append(found.facts.key[found.far])
        self._seeds.append(found.seeds()[found.far])
        self._pairs.append(found.nodes[pairs_within(patches.touching, found.far)])

    def resolve(self) -> int:
        """Decide about all groups, when all strips have been added. Returns how many patches change their class."""
        count, facts = self._first[-1], self._crossing.facts
        nodes, keys, seed_of = (
            np.concatenate([np.empty(0, np.int64), *items])
            for items in (self._nodes, self._keys, self._seeds)
        )
        going, across = self._step.going(facts), self._crossing.touching
        own, seed = np.full(count, -1, np.int64), np.full(count, -1, np.int64)
        own[nodes] = keys
        np.maximum.at(seed, nodes, seed_of)
        seed[: len(going)] = np.maximum(seed[: len(going)], seeds(across, going, facts.key))
        pairs = np.concatenate([pairs_within(across, going), *self._pairs], axis=1)
        self._nodes, self._keys, self._seeds, self._pairs = [], [], [], []
        taken = flood(seed, own, unique_pairs(pairs, count))
        self._taken = code_of(taken)
        return int((self._taken != code_of(own))[own >= 0].sum())

    def cleaned(self, index: int, patches: Patches) -> tuple[Codes, int]:
        """Return the new pixels of a strip, and the number of changed patches that touch no border.

        Args:
            index: number of the strip.
            patches: its patches.
        """
        found = self.decided(index, patches)
        near = found.going & ~found.far
        code = patches.code.copy()
        code[found.far] = self._taken[found.nodes[found.far]]
        if near.any():
            seed = np.where(near, found.seeds(), 0)  # what is not near is left out of the flood
            taken = flood(seed, found.facts.key, pairs_within(patches.touching, near))
            code[near] = code_of(taken[near])
        changed = int((code != patches.code)[near].sum())
        return patches.runs.pixels(code[patches.of_run]), changed


def clean_patches(
    step: Step,
    size: tuple[int, int],
    connectivity: int,
    read: Callable[[Window], Codes],
    write: Callable[[Codes, Window], None],
    channel: Channel,
) -> int:
    """Clean a raster of codes from `read` to `write`, in strips from the top down.

    Args:
        step: what goes.
        size: (rows, cols) of the raster.
        connectivity: 4 or 8, of the pixels of a patch, and of patches that touch.
        read, write: a window of codes; each is called from one thread.
        channel: for progress and cancelling.

    Returns:
        How many patches took another class.
    """
    strips = Strips(*size, strip_rows(size[1]), connectivity)
    passes = 3 if len(strips) > 1 else 1
    kept: dict[int, Patches] = {}

    def found(index: int) -> tuple[int, Patches]:
        patches = kept.get(index) or find_patches(read(strips.window(index)), connectivity)
        if passes > 1 and sum(item.nbytes for item in kept.values()) + patches.nbytes <= KEPT_BYTES:
            kept[index] = patches
        return index, patches

    def through(number: int, compute: Callable[[int, Patches], Codes | None]) -> None:
        def computed(item: tuple[int, Patches]) -> tuple[int, Codes | None]:
            channel.progress(step.phase, number * len(strips) + item[0], passes * len(strips))
            return item[0], compute(*item)

        def written(item: tuple[int, Codes | None]) -> None:
            if item[1] is not None:
                write(item[1], strips.window(item[0]))

        pump(range(len(strips)), found, computed, written)

    survey = PatchScan(strips)
    if passes > 1:
        through(0, survey.add)
    groups = Groups(strips, step, survey.done() if passes > 1 else nothing_crosses())
    if passes > 1:
        through(1, groups.add)
    changed = groups.resolve()

    def finish(index: int, patches: Patches) -> Codes:
        nonlocal changed
        pixels, near = groups.cleaned(index, patches)
        changed += near
        return pixels

    through(passes - 1, finish)
    channel.progress(step.phase, passes * len(strips), passes * len(strips))
    return changed


def strip_rows(width: int) -> int:
    """Rows of a strip of at most STRIP_PIXELS: a power of two, as the sides of blocks are: one divides the other."""
    return 1 << max((STRIP_PIXELS // max(width, 1)).bit_length() - 1, 0)

"""How removed patches take the class of the patches that stay: round by round, from the outside in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...contract import IGNORE
from .patches import Codes, Ints, Mask, Pairs, Patches, grouped, selected_pairs


@dataclass(frozen=True)
class Facts:
    """What decides about patches, (n,) each.

    Attributes:
        code: class; IGNORE is none.
        size_px: pixels.
        at_edge: whether it touches the edge of the map or pixels without class.
        lowest, highest: the least and the greatest class that it touches; IGNORE and 0 if it touches none.
    """

    code: Codes
    size_px: Ints
    at_edge: Mask
    lowest: Codes
    highest: Codes

    @property
    def key(self) -> Ints:
        """Pixels and class in one number: of two patches the larger, of equally large the one of lower class, is
        greater. -1 without class."""
        return np.where(self.code == IGNORE, -1, (self.size_px << 8) | (IGNORE - self.code.astype(np.int64)))

    def touch(self, pairs: Pairs) -> None:
        """Note that pairs of patches touch."""
        for one, other in (pairs, pairs[::-1]):
            code = self.code[other]
            none = code == IGNORE
            self.at_edge[one[none]] = True
            np.minimum.at(self.lowest, one, code)
            np.maximum.at(self.highest, one[~none], code[~none])


def facts_of(patches: Patches, at_edge: Mask) -> Facts:
    """Return the facts about the patches of a strip.

    Args:
        patches: the patches.
        at_edge: those that touch the edge of the map.
    """
    count = len(patches.code)
    lowest, highest = np.full(count, IGNORE, np.uint8), np.zeros(count, np.uint8)
    facts = Facts(patches.code, patches.size_px, at_edge.copy(), lowest, highest)
    facts.touch(patches.touching)
    return facts


def code_of(key: Ints) -> Codes:
    """The class in a key."""
    return (IGNORE - (key & IGNORE)).astype(np.uint8)


def seeds(pairs: Pairs, going: Mask, key: Ints) -> Ints:
    """Return for each removed patch the greatest key of the remaining patches that it touches; -1 if there is none.

    Args:
        pairs: (2, n) patches that touch.
        going: (patches,) whether each is removed.
        key: (patches,) key of each.
    """
    found = np.full(len(going), -1, np.int64)
    for one, other in (pairs, pairs[::-1]):
        beside = np.flatnonzero(going[one] & ~going[other])
        np.maximum.at(found, one[beside], key[other[beside]])
    return found


def flood(seed: Ints, own: Ints, pairs: Pairs) -> Ints:
    """Keys that patches take which are all to go.

    First those take theirs that touch a patch that stays, each from the greatest. In each further round those
    that touch one that has taken take from the greatest of them, so what is taken grows inwards. A group that
    touches nothing that stays takes the greatest key among its own.

    Args:
        seed: (n,) greatest key of the patches that stay and are touched; -1 is none.
        own: (n,) keys of the patches themselves.
        pairs: of patches that touch.
    """
    taken = seed.copy()
    while True:
        pairs = selected_pairs(pairs, (taken[pairs[0]] < 0) | (taken[pairs[1]] < 0))
        source = np.concatenate([pairs[0], pairs[1]])
        target = np.concatenate([pairs[1], pairs[0]])
        ready = taken[source] >= 0
        if not ready.any():
            break
        np.maximum.at(taken, target[ready], taken[source[ready]])
    groups, group = grouped(pairs, len(taken))
    left = taken < 0
    greatest = np.full(groups, -1, np.int64)
    np.maximum.at(greatest, group[left], own[left])
    taken[left] = greatest[group[left]]
    return taken

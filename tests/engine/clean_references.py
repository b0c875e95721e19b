"""Cleaning of a whole class raster written plainly, pixel by pixel: what the windowed code is held against."""

from __future__ import annotations

import numpy as np

NONE = 255


def disc(radius):
    reach = range(-radius, radius + 1)
    return [(i, j) for i in reach for j in reach if i * i + j * j <= radius * radius]


def at(ids, row, col):
    inside = 0 <= row < ids.shape[0] and 0 <= col < ids.shape[1]
    return int(ids[row, col]) if inside else NONE


def pixels(ids):
    return [(int(i), int(j)) for i, j in np.argwhere(ids != NONE)]


def votes_around(ids, row, col, offsets):
    found = {}
    for i, j in offsets:
        item = at(ids, row + i, col + j)
        if item != NONE:
            found[item] = found.get(item, 0) + 1
    return found


def majority(ids, side):
    reach = range(-(side // 2), side // 2 + 1)
    square = [(i, j) for i in reach for j in reach]
    result = ids.copy()
    for row, col in pixels(ids):
        votes = votes_around(ids, row, col, square)
        winners = [item for item in votes if votes[item] == max(votes.values())]
        if len(winners) == 1:
            result[row, col] = winners[0]
    return result


def opened(ids, radius, background):
    offsets = disc(radius)
    standing = ids.copy()
    for row, col in pixels(ids):
        own = ids[row, col]
        if own != background and not any(
            at(ids, row + i, col + j) != NONE
            and all(at(ids, row + i + k, col + j + m) in (own, NONE) for k, m in offsets)
            for i, j in offsets
        ):
            standing[row, col] = NONE
    result = ids.copy()
    for row, col in pixels(ids):
        if standing[row, col] == NONE:
            votes = votes_around(standing, row, col, offsets)
            votes.pop(int(ids[row, col]), None)
            if votes:
                result[row, col] = min(votes, key=lambda item: (-votes[item], item))
            elif background >= 0:
                result[row, col] = background
    return result


def closed(ids, radius, background):
    offsets = disc(radius)
    result = ids.copy()
    for row, col in pixels(ids):
        if ids[row, col] != background:
            continue
        votes = votes_around(ids, row, col, offsets)
        votes.pop(background, None)
        fills = [
            item
            for item in votes
            if all(any(at(ids, row + i + k, col + j + m) == item for k, m in offsets) for i, j in offsets)
        ]
        if fills:
            result[row, col] = min(fills, key=lambda item: (-votes[item], item))
    return result


def flooded(ids, connectivity):
    """Number of each pixel's patch, -1 without class, and the pixels of each patch."""
    number = np.full(ids.shape, -1)
    patches = []
    for start in pixels(ids):
        if number[start] >= 0:
            continue
        number[start], front, members = len(patches), [start], []
        while front:
            row, col = front.pop()
            members.append((row, col))
            for r, c in beside(row, col, connectivity):
                if at(ids, r, c) == ids[row, col] and number[r, c] < 0:
                    number[r, c] = len(patches)
                    front.append((r, c))
        patches.append(members)
    return number, patches


def beside(row, col, connectivity):
    corners = [(1, 1), (1, -1), (-1, 1), (-1, -1)] if connectivity == 8 else []
    return [(row + i, col + j) for i, j in [(0, 1), (1, 0), (0, -1), (-1, 0), *corners]]


def graph(ids, connectivity):
    """Patches as (class, pixels, numbers of its neighbours, whether it touches what has no class or the edge)."""
    number, patches = flooded(ids, connectivity)
    found = []
    for members in patches:
        around = [place for member in members for place in beside(*member, connectivity)]
        codes = [at(ids, *place) for place in around]
        near = {int(number[place]) for place, code in zip(around, codes, strict=True) if code != NONE}
        found.append((int(ids[members[0]]), len(members), near - {number[members[0]]}, NONE in codes))
    return number, found


def spread(ids, number, found, open_, strength):
    """Patches that are open take the class of the strongest neighbour that has one already, round by round."""
    taken = {place: (strength(*found[place][:2]), -found[place][0]) for place in range(len(found))
             if place not in open_}  # fmt: skip
    waiting = set(open_)
    while waiting:
        fresh = {}
        for place in waiting:
            near = [taken[item] for item in found[place][2] if item in taken]
            if near:
                fresh[place] = max(near)
        if not fresh:
            break
        taken |= fresh
        waiting -= set(fresh)
    while waiting:
        group, front = set(), [next(iter(waiting))]
        while front:
            place = front.pop()
            if place not in group:
                group.add(place)
                front += found[place][2]
        best = max((found[place][1], -found[place][0]) for place in group)
        taken |= dict.fromkeys(group, best)
        waiting -= group
    result = ids.copy()
    for row, col in pixels(ids):
        result[row, col] = -taken[int(number[row, col])][1]
    return result


def filled(ids, limit, connectivity):
    number, found = graph(ids, connectivity)
    holes = [
        place
        for place, (_, size, near, edge) in enumerate(found)
        if size < limit and not edge and len({found[item][0] for item in near}) == 1
    ]
    return spread(ids, number, found, holes, lambda _, size: size)


def sieved(ids, limit, connectivity):
    number, found = graph(ids, connectivity)
    small = [place for place, (_, size, _, _) in enumerate(found) if size < limit]
    return spread(ids, number, found, small, lambda _, size: size)


def cleaned(ids, cleaning, background):
    if cleaning.majority_px:
        ids = majority(ids, cleaning.majority_px)
    if cleaning.opening_px:
        ids = opened(ids, cleaning.opening_px, background)
    if cleaning.closing_px and background >= 0:
        ids = closed(ids, cleaning.closing_px, background)
    if cleaning.fill_holes_px:
        ids = filled(ids, cleaning.fill_holes_px, cleaning.connectivity)
    if cleaning.min_patch_px:
        ids = sieved(ids, cleaning.min_patch_px, cleaning.connectivity)
    return ids


def patchy(seed, shape=(26, 31), classes=3, smooth=2, none=0.05):
    """Random classes in patches of a few pixels, some pixels without class."""
    random = np.random.default_rng(seed)
    noise = random.random((classes, *shape))
    noise = sum(np.roll(noise, (i, j), (1, 2)) for i in range(smooth) for j in range(smooth))
    ids = noise.argmax(axis=0).astype(np.uint8)
    ids[random.random(shape) < none] = NONE
    return ids

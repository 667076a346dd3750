"""Which pictures of a folder are frames: masks, overlays and previews that lie among them are not."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.readers.frames import LOSSY_GREY_TOLERANCE, is_color_picture
from UltrasoundLesionSegLib.readers.quiet import quiet

_KINDS = {
    "masks": (
        "masks?|msk|seg|segm|segmentations?|segmented|labels?|labelmaps?|annotations?|annot|gt|groundtruth|truth|roi|"
        "seed|lesions?|tumou?rs?|manual|binary|bw"
    ),
    "overlays": "overlays?|annotated|contours?|outlines?|drawn|marked|heatmaps?|results?|pred|predictions?",
    "previews": "thumbs?|thumbnails?|previews?|icons?",
}
_WORDS = {kind: re.compile(rf"(?:^|(?<=[^a-z]))(?:{words})(?=[^a-z]|$)") for kind, words in _KINDS.items()}
_NUMBER_BEHIND = re.compile(r"[ _.-]+\d{1,3}$")
_LOOKED_AT = 3
_LEVELS_OF_A_MASK = 8
_SHARE_OF_TWO_LEVELS = 0.98
_NEAR = 12


def choose_frames(paths: Sequence[Path]) -> tuple[list[Path], Counter[str]]:
    """Return the pictures of a folder that are frames, and how many of what kind were left out.

    Left out is what has the name of another picture and a word for a mask, an overlay or a preview
    (``a.png``, ``a_mask.png``, ``a_mask_1.png``); what such a word, another naming or another kind of pixel sets apart
    and what looks like a mask; and what has another name than most and another size, or colours where these have none.
    When all are alike, all are frames.

    Parameters
    ----------
    paths : sequence of Path
        Picture files in the order of the frames.
    """
    left_out: dict[Path, str] = {}
    stems = {path.stem.casefold() for path in paths}
    for path in paths:
        kind = _derived_kind(path.stem.casefold(), stems)
        if kind:
            left_out[path] = kind
    rest = [path for path in paths if path not in left_out]
    left_out |= _odd_ones(rest)
    return [path for path in paths if path not in left_out], Counter(left_out.values())


def left_out_note(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the sentence on pictures that are no frames, nothing when there are none."""
    if not counts:
        return ()
    one = {kind: kind.replace("s", "", 1) if kind.startswith("pictures") else kind[:-1] for kind in counts}
    listed = " and ".join(f"{count} {kind if count > 1 else one[kind]}" for kind, count in sorted(counts.items()))
    return (f"{listed} among the pictures of the folder left out: no frames of the cine.",)


def _derived_kind(stem: str, stems: set[str]) -> str:
    """Return what a picture is that has another one's name and a word more, '' for any other."""
    for kind, words in _WORDS.items():
        for found in words.finditer(stem):
            before, behind = stem[: found.start()], stem[found.end() :]
            names = {before + behind, before.rstrip(" _.-") + behind, before + behind.lstrip(" _.-")}
            if _NUMBER_BEHIND.fullmatch(behind):  # a second mask of the same frame
                names.add(before.rstrip(" _.-"))
            if (names & stems) - {stem, ""}:
                return kind
    return ""


def _odd_ones(paths: Sequence[Path]) -> dict[Path, str]:
    """Return those that a name, a pixel or a size sets apart, with their kind."""
    if len(paths) < 2:
        return {}
    heads = {path: _head(path) for path in paths}
    naming = {path: (re.sub(r"\d+", "#", path.stem.casefold()), path.suffix.casefold()) for path in paths}
    usual_head = Counter(heads.values()).most_common(1)[0][0]
    worded = {path for path in paths if _WORDS["masks"].search(path.stem.casefold())}
    if len(worded) == len(paths):
        worded = set()
    apart, sets_of_masks = _named_apart(naming)
    other_pixels = {path for path in paths if heads[path] is not None and heads[path] != usual_head}
    frames = [path for path in paths if path not in worded | apart | other_pixels]
    if not frames or _all_look_like_masks(frames):
        return {}
    found = {path: "masks" for path in sorted(worded | apart | other_pixels) if looks_like_mask(path)}
    found |= {path: "masks" for path in sorted(sets_of_masks) if path in found or _is_blank(path)}
    for path in sorted(apart - set(found)):
        head = heads[path]
        if head is not None and usual_head is not None and head[1] != usual_head[1]:
            found[path] = "pictures of another size and name"
        elif head is not None and _is_colored(path) and not any(_is_colored(one) for one in _spread(frames)):
            found[path] = "overlays"
    return found


def _spread(paths: Sequence[Path]) -> Sequence[Path]:
    return paths[:: max(1, len(paths) // _LOOKED_AT)]


def _is_colored(path: Path) -> bool:
    """Whether a picture has colours, as a frame with something drawn upon it."""
    try:
        with quiet(), Image.open(path) as image:
            channels = np.asarray(image.convert("RGB"))
    except Exception:  # damaged: it keeps its place as a frame
        return False
    return is_color_picture(channels, LOSSY_GREY_TOLERANCE)


def _named_apart(naming: Mapping[Path, tuple[str, str]]) -> tuple[set[Path], set[Path]]:
    """Return the pictures that are named otherwise than the frames, and those of them that come as sets of masks.

    The frames are named in one way, most of all pictures, or most of those that are left without sets named in
    another way and made up of masks alone: ``a1.jpg`` beside ``a1.png``, ``a1.png`` beside ``b1.png``. Of names that
    are each different nothing is apart.
    """
    named: dict[tuple[str, str], list[Path]] = {}
    for path, name in naming.items():
        named.setdefault(name, []).append(path)
    most = max(len(group) for group in named.values())
    masks: set[Path] = set()
    if 2 * most <= len(naming):
        groups = [group for group in named.values() if len(group) > 1 and _all_look_like_masks(group)]
        masks = set(itertools.chain.from_iterable(groups))
    rest = [group for group in named.values() if not masks.issuperset(group)]
    usual = max(rest, key=len, default=[])
    if 2 * len(usual) <= len(naming) - len(masks):
        return set(), set()
    return set(naming) - set(usual), masks


def _all_look_like_masks(paths: Sequence[Path]) -> bool:
    """Whether some of the pictures, spread over all, are masks; blank ones among them tell nothing."""
    spread = [path for path in _spread(paths) if not _is_blank(path)]
    return bool(spread) and all(looks_like_mask(path) for path in spread)


def _is_blank(path: Path) -> bool:
    """Whether a picture has one level alone, as the mask of a frame without lesion."""
    try:
        with quiet(), Image.open(path) as image:
            extrema = image.convert("L").getextrema()
    except Exception:  # damaged: it keeps its place as a frame
        return False
    return extrema[0] == extrema[1]


def _head(path: Path) -> tuple[str, tuple[int, int]] | None:
    """Return a picture's pixel form and size, None when its header cannot be read."""
    try:
        with quiet(), Image.open(path) as image:
            return image.mode, image.size
    except Exception:  # Pillow raises whatever the damage leads to
        return None


def looks_like_mask(path: Path) -> bool:
    """Whether a picture has few levels, or nearly all of it is near its lowest or highest one."""
    try:
        with quiet(), Image.open(path) as image:
            image.load()
            if image.mode in ("1", "P"):
                levels = len(np.unique(np.asarray(image)))
                if image.mode == "1" or levels <= _LEVELS_OF_A_MASK:
                    return True
            is_layer = image.mode in ("RGBA", "LA") and np.unique(np.asarray(image.getchannel("A"))).size > 1
            values = np.asarray(image.getchannel("A") if is_layer else image.convert("L"))
    except Exception:  # damaged: it keeps its place as a frame
        return False
    counts = np.bincount(values.ravel(), minlength=256)
    used = np.flatnonzero(counts)
    if len(used) < 2:
        return False  # a black frame has one level too
    if len(used) <= _LEVELS_OF_A_MASK:
        return True
    low, high = int(used[0]), int(used[-1])
    near = counts[low : low + _NEAR].sum() + counts[max(low + _NEAR, high - _NEAR + 1) : high + 1].sum()
    return bool(high - low > 4 * _NEAR and near >= _SHARE_OF_TWO_LEVELS * values.size)

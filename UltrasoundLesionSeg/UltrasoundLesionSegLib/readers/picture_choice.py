"""Which pictures of a folder are frames: masks, overlays and previews that lie among them are not."""

from __future__ import annotations

import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from UltrasoundLesionSegLib.errors import FrameError, SourceError
from UltrasoundLesionSegLib.readers.alternation import eight_bits, is_painted, masks_between
from UltrasoundLesionSegLib.readers.frames import LOSSY_GREY_TOLERANCE, is_color_picture
from UltrasoundLesionSegLib.readers.pages import PageFile
from UltrasoundLesionSegLib.readers.quiet import quiet

T = TypeVar("T")

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
_OTHER = "pictures of another size and name"
_ONE = {_OTHER: "picture of another size and name", "copies": "copy"}
_COPY = re.compile(r"(.+?)(?: ?\(\d{1,3}\)|[ _-]+(?:copy|kopie)(?: ?\(?\d{1,3}\)?)?)")
_LOSSY_SUFFIXES = (".jpg", ".jpeg")
_SAME_PICTURE = 6.0
"""Levels by which two versions of a frame differ on average where neither has colours."""

_DOUBT = (
    "Pictures at every second place are alike and unlike those between: all are frames. If they are masks or of a "
    "second series, put them into a folder of their own."
)

_LOOKED_AT = 3
LEVELS_OF_A_MASK = 8
_SHARE_OF_TWO_LEVELS = 0.98
_NEAR = 12


def choose_frames(paths: Sequence[Path]) -> tuple[list[Path], Counter[str], tuple[str, ...]]:
    """Return the pictures of a folder that are frames, how many of what kind were left out, and what is in doubt.

    Left out is what has the name of another picture and a word for a mask, an overlay or a preview (``a.png``,
    ``a_mask.png``, ``a_mask_1.png``); copies, and other versions of the same frames; what such a word, another naming
    or another kind of pixel sets apart, or its place as every second one, and what looks like a mask; and what has
    another name than most and another size, or colours where these have none. When all are alike, all are frames.

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
    left_out |= _copies([path for path in paths if path not in left_out])
    left_out |= _other_versions([path for path in paths if path not in left_out])
    left_out |= _odd_ones([path for path in paths if path not in left_out])
    alternation = masks_between([path for path in paths if path not in left_out])
    left_out |= dict.fromkeys(alternation.masks, "masks")
    notes = (_DOUBT,) if alternation.is_doubtful else ()
    return [path for path in paths if path not in left_out], Counter(left_out.values()), notes


def left_out_note(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the sentence on pictures that are no frames, nothing when there are none."""
    if not counts:
        return ()
    one = {kind: _ONE.get(kind, kind[:-1]) for kind in counts}
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


def _copies(paths: Sequence[Path]) -> dict[Path, str]:
    """Return those that are, byte by byte, another picture, and named as file managers name a copy of it."""
    by_name = {(path.stem.casefold(), path.suffix.casefold()): path for path in paths}
    found = {}
    for (stem, suffix), path in by_name.items():
        match = _COPY.fullmatch(stem)
        original = by_name.get((match[1].rstrip(), suffix)) if match else None
        with contextlib.suppress(OSError):
            if original is not None and path.read_bytes() == original.read_bytes():
                found[path] = "copies"
    return found


def _other_versions(paths: Sequence[Path]) -> dict[Path, str]:
    """Return pictures that show other pictures' frames once more: drawn upon, or in a lossy format.

    They have the numbers of those and another naming or format, and look like them where neither has colours.
    """
    groups: dict[tuple[str, str], dict[str, Path]] = {}
    for path in paths:
        numbers = re.findall(r"\d+", path.stem)
        naming = (re.sub(r"\d+", "#", path.stem.casefold()), path.suffix.casefold())
        groups.setdefault(naming, {})["-".join(str(int(one)) for one in numbers)] = path
    found: dict[Path, str] = {}
    for one, other in itertools.combinations([name for name, group in groups.items() if len(group) > 1], 2):
        if groups[one].keys() != groups[other].keys():
            continue
        pairs = [(groups[one][number], groups[other][number]) for number in _spread(list(groups[one]))]
        if not all(_show_the_same(*pair) for pair in pairs):
            continue
        colored = [all(_is_colored(pair[at]) for pair in pairs) for at in (0, 1)]
        is_overlay = colored[0] != colored[1]
        left_out = one if (colored[0] if is_overlay else one[1] in _LOSSY_SUFFIXES) else other
        found |= dict.fromkeys(groups[left_out].values(), "overlays" if is_overlay else "copies")
    return found


def _show_the_same(one: Path, other: Path) -> bool:
    """Whether two pictures are alike where neither has colours, over at least half of them."""
    try:
        with quiet(), Image.open(one) as first, Image.open(other) as second:
            pictures = [np.asarray(eight_bits(image).convert("RGB"), np.int16) for image in (first, second)]
    except Exception:  # damaged: it keeps its place as a frame
        return False
    if pictures[0].shape != pictures[1].shape:
        return False
    is_grey = np.all([np.ptp(picture, axis=2) <= _NEAR for picture in pictures], axis=0)
    apart = np.abs(pictures[0] - pictures[1]).mean(axis=2)
    return bool(is_grey.mean() >= 0.5 and apart[is_grey].mean() <= _SAME_PICTURE)


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
    found = {path: "masks" for path in sorted(worded) if looks_like_mask(path)}
    found |= {path: "masks" for path in sorted((apart | other_pixels) - worded) if _is_mask_without_a_word(path)}
    heads_of_masks = {heads[path] for path in other_pixels & set(found)}
    with_them = sets_of_masks | {path for path in other_pixels if heads[path] in heads_of_masks}
    found |= {path: "masks" for path in sorted(with_them) if _is_blank(path)}
    for path in sorted(apart - set(found)):
        head = heads[path]
        if head is not None and usual_head is not None and head[1] != usual_head[1]:
            found[path] = _OTHER
        elif head is not None and _is_colored(path) and not any(_is_colored(one) for one in _spread(frames)):
            found[path] = "overlays"
    return found


def _spread(items: Sequence[T]) -> Sequence[T]:
    return items[:: max(1, len(items) // _LOOKED_AT)]


def _is_colored(path: Path) -> bool:
    """Whether a picture has colours, as a frame with something drawn upon it."""
    try:
        with quiet(), Image.open(path) as image:
            channels = np.asarray(eight_bits(image).convert("RGB"))
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
        groups = [group for group in groups if all(is_painted(one) for one in _spread(group) if not _is_blank(one))]
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


def _is_mask_without_a_word(path: Path) -> bool:
    """Whether a picture that no word calls a mask is one: few levels, and these in even areas, not as colour flow."""
    return looks_like_mask(path) and is_painted(path)


def _is_blank(path: Path) -> bool:
    """Whether a picture has one level alone, as the mask of a frame without lesion."""
    try:
        with quiet(), Image.open(path) as image:
            extrema = eight_bits(image).convert("L").getextrema()
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
    """Whether a picture has few levels, or nearly all of it is near its lowest or highest one.

    A blank one does not: a black frame has one level, too. Of a file of several pictures the first that is not blank
    decides, as a stack of masks may begin with frames without lesion.
    """
    try:
        with PageFile(path) as pages:
            found = (_is_mask(pages.image(index)) for index in range(len(pages)))
            return next((one for one in found if one is not None), False)
    except (SourceError, FrameError):  # damaged: it keeps its place as a frame
        return False


def _is_mask(image: Image.Image) -> bool | None:
    """Whether a picture looks like a mask, None for one of one level."""
    if image.mode in ("1", "P"):
        levels = len(np.unique(np.asarray(image)))
        if image.mode == "1" or levels <= LEVELS_OF_A_MASK:
            return True
    is_layer = image.mode in ("RGBA", "LA") and np.unique(np.asarray(image.getchannel("A"))).size > 1
    values = np.asarray(image.getchannel("A") if is_layer else eight_bits(image).convert("L"))
    counts = np.bincount(values.ravel(), minlength=256)
    used = np.flatnonzero(counts)
    if len(used) < 2:
        return None
    if len(used) <= LEVELS_OF_A_MASK:
        return True
    low, high = int(used[0]), int(used[-1])
    near = counts[low : low + _NEAR].sum() + counts[max(low + _NEAR, high - _NEAR + 1) : high + 1].sum()
    return bool(high - low > 4 * _NEAR and near >= _SHARE_OF_TWO_LEVELS * values.size)

"""Draws the module's and the extension's icon, and the thumbnail of the sample cine.

python Testing/Gui/draw_icons.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE_ICONS = REPOSITORY / "UltrasoundLesionSeg" / "Resources" / "Icons"
SIZE, FINER = 128, 4  # drawn finer, then reduced: smooth edges
ORANGE = (242, 158, 40)


def speckle(size: int) -> NDArray[np.float64]:
    """Fully developed speckle along arcs from the top, in [0, 1], shape (size, size)."""
    rng = np.random.default_rng(4)
    grain = rng.rayleigh(0.5, (size // 6, size // 6))
    image = Image.fromarray((np.clip(grain, 0, 1.6) * 159).astype(np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return np.asarray(image, float) / 255


def sector(size: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The picture of a curved probe with a dark lesion: brightness in [0, 1] and the sector it fills."""
    rows, columns = np.mgrid[:size, :size] / size
    depth = np.hypot(rows + 0.35, columns - 0.5)
    angle = np.arctan2(columns - 0.5, rows + 0.35)
    inside = (np.abs(angle) < 0.36) & (depth > 0.46) & (depth < 1.24)
    layers = 0.55 + 0.25 * np.sin(depth * 26 + 2 * np.sin(angle * 5)) * np.exp(-4 * (depth - 0.45))
    lesion = ellipse(rows, columns) < 1
    shadow = (np.abs(columns - 0.5) < 0.16) & (rows > 0.66)
    brightness = layers * (0.35 + 0.9 * speckle(size)) * np.where(shadow, 1.25, 1.0)
    return np.clip(np.where(lesion, brightness * 0.28, brightness), 0, 1), inside


def ellipse(rows: NDArray[np.float64], columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Below 1 inside the lesion; slightly lobulated."""
    row, column = rows - 0.52, columns - 0.5
    around = np.arctan2(row, column)
    return np.hypot(row / 0.15, column / 0.22) / (1 + 0.07 * np.sin(3 * around + 0.6))


def icon() -> Image.Image:
    """Three frames behind each other, the front one with a lesion outlined."""
    full = SIZE * FINER
    picture = Image.new("RGBA", (full, full), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    card = int(full * 0.80)
    for step, shade in ((2, (58, 84, 102)), (1, (36, 58, 74)), (0, (12, 22, 30))):
        left, top = step * full // 12, (2 - step) * full // 12
        outline = (150, 178, 196) if step else (214, 228, 238)
        pen.rounded_rectangle((left, top, left + card, top + card), card // 10, (*shade, 255), outline, FINER * 2)
    brightness, inside = sector(card)
    grey = (np.clip(brightness, 0, 1) * 235).astype(np.uint8)
    pixels = np.dstack([grey, grey, grey, inside.astype(np.uint8) * 255])
    rows, columns = np.mgrid[:card, :card] / card
    rim = np.abs(ellipse(rows, columns) - 1.06) < 0.1
    pixels[rim] = (*ORANGE, 255)
    front = Image.fromarray(pixels, "RGBA").filter(ImageFilter.GaussianBlur(0.8))
    picture.alpha_composite(front, (0, full // 6))
    return picture.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def thumbnail() -> Image.Image:
    """A frame of the sample cine with its drawing, in the size of Slicer's sample data buttons."""
    from UltrasoundLesionSegLib.gui.sample_data import simulate_sample

    simulated = simulate_sample()
    frame, mask = np.asarray(simulated.cine.frames[0]), np.asarray(simulated.truth[0][0])
    pixels = np.dstack([frame] * 3)
    inner = mask.copy()
    for shift in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        inner &= np.roll(mask, shift, (0, 1))
    pixels[mask & ~inner] = ORANGE
    image = Image.fromarray(pixels)
    height = round(image.height * 260 / image.width)
    return image.resize((260, height), Image.Resampling.LANCZOS)


def main() -> None:
    """Write the pictures."""
    MODULE_ICONS.mkdir(parents=True, exist_ok=True)
    drawn = icon()
    drawn.save(MODULE_ICONS / "UltrasoundLesionSeg.png", optimize=True)
    drawn.save(REPOSITORY / "Resources" / "UltrasoundLesionSeg.png", optimize=True)
    thumbnail().save(MODULE_ICONS / "BreastLesionCine.png", optimize=True)


if __name__ == "__main__":
    main()

"""One self-contained HTML page about one case: opens without a network, prints, works in light and dark."""

from __future__ import annotations

from html import escape
from pathlib import Path

from UltrasoundLesionSegLib.report import sections
from UltrasoundLesionSegLib.report.case import DISCLAIMER, CaseReport
from UltrasoundLesionSegLib.report.style import CSS
from UltrasoundLesionSegLib.writers.atomic import atomic_path

# Nothing may be loaded from anywhere: pictures are data inside the page, and there are no scripts.
CONTENT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

NO_PICTURES = (
    "Pictures are left out: ultrasound images may show a patient's name that is burned into them. "
    "Look at the frames, then make the report again with pixels allowed."
)

HOW_MEASURED = (
    (
        "Outline",
        "through the edges of the mask's outermost pixels, smoothed over the staircase; of the mask's largest part.",
    ),
    ("Long axis", "longest straight line between two points of the outline, as callipers are set."),
    ("Perpendicular axis", "longest line across the outline at a right angle to the long axis."),
    (
        "Depth, width",
        "extent across and along the image's rows; depth/width below 1 is parallel to the skin (BI-RADS).",
    ),
    ("Area", "number of the mask's pixels times the size of a pixel."),
    (
        "Circularity, solidity",
        "4π × area / perimeter², 1 for a disc; area / area of the convex hull, 1 for a convex outline.",
    ),
    ("Contrast", "mean grey level of the lesion minus that of the ring around it; negative is hypoechoic."),
    (
        "Boundary sharpness",
        "share of the grey-level gradient along the outline that points straight across it, 0 to 1.",
    ),
    (
        "Posterior echo ratio",
        "grey level below the lesion over that beside it at the same depth; above 1 is enhancement.",
    ),
    (
        "Confidence",
        "Dice that the mask is expected to have with what a person would draw, 0 to 1; no probability of disease.",
    ),
)


def make_report(case: CaseReport, *, pixels_allowed: bool) -> str:
    """Compose the page.

    Parameters
    ----------
    case : CaseReport
    pixels_allowed : bool
        Whether pictures of the cine may be in the page: they may show a patient's name. Without them the page says so.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    OutputError
        When a picture cannot be encoded.
    """
    banner = f'<p class="banner">{escape(DISCLAIMER)}</p>'
    created = f", made {case.created:%Y-%m-%d %H:%M}" if case.created else ""
    parts = [
        f'<h1>Lesion report</h1><p class="soft">{escape(case.name)}{created}</p>{banner}',
        sections.summary_cards(case) if case.lesions else "<p>No lesion was segmented.</p>",
    ]
    if case.lesions:
        parts.append(sections.look_first(case))
        shown = sections.pictures(case) if pixels_allowed else f'<p class="soft">{escape(NO_PICTURES)}</p>'
        parts += [
            _section("Key frames", shown),
            _section("Over the cine", sections.charts(case)),
            _section("Each lesion over the cine", sections.lesion_tables(case)),
            _section("Each frame", sections.frame_tables(case)),
            _section("Who measured what", sections.makers(case)),
        ]
    parts += [
        _section("Image and calibration", sections.source_facts(case)),
        _section("Software", sections.software_facts(case)),
        _section("How it is measured", sections.facts((title, escape(text)) for title, text in HOW_MEASURED)),
        banner,
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Lesion report {escape(case.name)}</title><style>{CSS}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def write_report(target: Path, case: CaseReport, *, pixels_allowed: bool) -> Path:
    """Write the page.

    Parameters
    ----------
    target : Path
        Usually ``report.html``.
    case : CaseReport
    pixels_allowed : bool
        See ``make_report``.

    Returns
    -------
    Path
        ``target``.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    page = make_report(case, pixels_allowed=pixels_allowed)
    with atomic_path(target) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return target

"""The study's table and ours, line by line, and the accuracy of each epoch as the study plots it.

    python benchmarks/study_table.py artifacts/published [--curves docs/published-curves.svg]

Reads the cards and histories of the published models: nothing is trained or predicted here.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from hemodetect.evaluation.table import PUBLISHED, Published
from hemodetect.models.families import FAMILY_NAMES
from hemodetect.registry.bundle import HISTORY, Card, read_card

WIDTH, HEIGHT, LEFT, TOP, GAP = 230, 150, 40, 30, 30
LINES = (("accuracy", "#2a78c2"), ("val_accuracy", "#d9730d"))


def line(family: str, folder: Path, study: Published) -> str:
    """One row of the table: the study's figure, then ours."""
    card = read_card(folder)
    scores = card.metrics["slice"]
    counts = scores["confusion"]
    last = last_epoch(folder, card)
    cells = [
        FAMILY_NAMES[family],
        f"{study.accuracy:.1%} / **{scores['accuracy']['value']:.1%}**",
        f"{scores['balanced_accuracy']['value']:.1%}",
        pair(study.training_accuracy, last.get("accuracy"), "{:.1%}"),
        pair(study.loss, last.get("val_loss"), "{:.3f}"),
        f"{counts['tn']} {counts['fp']} / {counts['fn']} {counts['tp']}",
        pair(study.training_minutes, sum(card.seconds.values()) / 60, "{:.0f} min"),
    ]
    return "| " + " | ".join(cells) + " |"


def last_epoch(folder: Path, card: Card) -> dict[str, Any]:
    """Figures of the last epoch; empty where there are no epochs."""
    if card.epochs is None or HISTORY not in card.files:
        return {}
    return dict(pd.read_csv(folder / HISTORY).iloc[-1])


def pair(study: float | None, ours: float | None, form: str) -> str:
    """The study's figure and ours; "-" for one that is not given."""
    return " / ".join("-" if value is None else form.format(value) for value in (study, ours))


def curves(folders: dict[str, Path]) -> str:
    """SVG: accuracy by epoch of each network, on training and on test slices."""
    shown = {f: pd.read_csv(d / HISTORY) for f, d in folders.items() if read_card(d).epochs}
    width = LEFT + len(shown) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT + TOP + 50}"'
        ' font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for place, (family, history) in enumerate(shown.items()):
        left = LEFT + place * (WIDTH + GAP)
        parts.append(f'<text x="{left}" y="18" font-weight="bold">{FAMILY_NAMES[family]}</text>')
        for share in (0.4, 0.6, 0.8, 1.0):
            y = height_of(share)
            parts.append(f'<path d="M{left} {y}H{left + WIDTH}" stroke="#dddddd"/>')
            if place == 0:
                parts.append(f'<text x="4" y="{y + 4}">{share:.0%}</text>')
        for column, colour in LINES:
            points = " ".join(
                f"{left + WIDTH * epoch / max(len(history) - 1, 1):.1f},{height_of(value):.1f}"
                for epoch, value in enumerate(history[column])
            )
            parts.append(
                f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
            )
        y = TOP + HEIGHT + 16
        parts.append(f'<text x="{left}" y="{y}">epoch 1</text>')
        parts.append(f'<text x="{left + WIDTH}" y="{y}" text-anchor="end">{len(history)}</text>')
    for place, ((_, colour), name) in enumerate(
        zip(LINES, ("training slices", "test slices"), strict=True)
    ):
        x, y = LEFT + place * 120, TOP + HEIGHT + 38
        parts.append(f'<path d="M{x} {y - 4}h18" stroke="{colour}" stroke-width="2"/>')
        parts.append(f'<text x="{x + 24}" y="{y}">{name}</text>')
    return "\n".join([*parts, "</svg>\n"])


def height_of(share: float) -> float:
    """Where an accuracy of 0.3 to 1 lies in a panel."""
    return TOP + HEIGHT * (1 - (min(max(share, 0.3), 1.0) - 0.3) / 0.7)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("published", type=Path)
    parser.add_argument("--curves", type=Path, help="write the SVG")
    options = parser.parse_args()
    folders = {f: options.published / f for f in FAMILY_NAMES if (options.published / f).is_dir()}
    print(
        "| study / ours | accuracy | balanced accuracy (ours) | training accuracy | validation loss"
        " | confusion (ours): normal right wrong / bleeding wrong right | time |"
    )
    print("|---|---|---|---|---|---|---|")
    for family, folder in folders.items():
        print(line(family, folder, PUBLISHED[family, "paper"]))
    if options.curves:
        options.curves.write_text(curves(folders))


if __name__ == "__main__":
    main()

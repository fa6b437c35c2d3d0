"""Shared by every PDF: font, styles, tables, and pages with a stamp and a page number.

Names of sets, recipes and patients come from untrusted files, and reportlab reads the text of a
paragraph as markup, which can even load images. So text enters a page through `paragraph` and
`table`, which escape it, or through `printable` where it is drawn and not read as markup.

The font is Bitstream Vera, which comes with reportlab and may be embedded under its licence. It has
the letters of Western Europe and Turkish. Every other character is printed as "?", so that the reader
sees that one is missing; the standard PDF fonts would print a black box or nothing.
"""

from __future__ import annotations

import io
import threading
import unicodedata
from collections.abc import Callable, Sequence
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase.pdfmetrics import getFont, registerFont, stringWidth
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageTemplate,
    Paragraph,
    Table,
    TableStyle,
)

FONT, BOLD = "Vera", "VeraBd"
for _name in (FONT, BOLD):
    registerFont(TTFont(_name, f"{_name}.ttf"))
_GLYPHS = frozenset(getFont(FONT).face.charToGlyph) & frozenset(getFont(BOLD).face.charToGlyph)

INK, GREY, RULE, TINT = (HexColor(c) for c in ("#1b1f23", "#555e67", "#b9c0c7", "#eef1f4"))
MARGIN = 15 * mm
WIDTH = A4[0] - 2 * MARGIN
"""Points between the margins."""
NAME_LENGTH = 60
"""Most characters of a name from a file."""
_LONGEST = 1000
_ONE_AT_A_TIME = threading.Lock()
"""reportlab reads a font through one file position, which simultaneous documents would share."""


def _style(name: str, size: float, **more: object) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        **{"fontName": FONT, "fontSize": size, "leading": 1.32 * size, "textColor": INK,
           "bulletFontName": FONT, "bulletFontSize": size, **more},
    )  # fmt: skip


TITLE = _style("title", 17, fontName=BOLD, spaceAfter=4)
HEADING = _style("heading", 10.5, fontName=BOLD, spaceBefore=12, spaceAfter=4, keepWithNext=1)
BODY = _style("body", 8.5, spaceAfter=3)
BULLET = _style("bullet", 8.5, leftIndent=10, spaceAfter=2.5)
CAPTION = _style("caption", 7.2, textColor=GREY, spaceBefore=3, spaceAfter=3)
CELL = _style("cell", 7.5)
CELL_HEAD = _style("cell head", 7.2, fontName=BOLD)
_STAMP = _style("stamp", 6.3, textColor=GREY)


def printable(text: object, limit: int = _LONGEST) -> str:
    """`text` on one line, cut to `limit` characters, with "?" for what the font does not have."""
    raw = str(text)[: 4 * limit]
    # NFC, because file names from macOS store letters and accents separately.
    line = " ".join(unicodedata.normalize("NFC", raw).split())
    printable_line = "".join(c if ord(c) in _GLYPHS and c.isprintable() else "?" for c in line)
    return (
        printable_line
        if len(printable_line) <= limit
        else printable_line[: limit - 1].rstrip() + "…"
    )


def fitted(text: str, width: float, size: float, font: str = FONT) -> float:
    """The font size, at most `size`, at which `text` is no wider than `width` points."""
    return min(size, size * width / max(stringWidth(text, font, size), 1e-9))


def paragraph(*lines: str, style: ParagraphStyle = BODY, limit: int = _LONGEST) -> Paragraph:
    """A paragraph of plain text, never read as markup.

    Args:
        lines: each begins a new line; one that is too wide is broken.
        limit: most characters of a line.
    """
    return Paragraph("<br/>".join(escape(printable(line, limit)) for line in lines), style)


def bullets(sentences: Sequence[str]) -> list[Paragraph]:
    """A point for every sentence."""
    return [Paragraph(escape(printable(s)), BULLET, bulletText="•") for s in sentences]


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str | Sequence[str]]], widths: Sequence[float]
) -> Table:
    """Rows of plain text; the heads are repeated on every page of the table.

    Args:
        rows: a cell is a line, or several.
        widths: share of the page's width for each column; they are scaled to fill it.
    """
    cells = [[paragraph(head, style=CELL_HEAD) for head in heads]]
    for row in rows:
        lines = [(cell,) if isinstance(cell, str) else tuple(cell) for cell in row]
        cells.append([paragraph(*cell, style=CELL) for cell in lines])
    scale = WIDTH / sum(widths)
    return Table(
        cells,
        colWidths=[scale * width for width in widths],
        repeatRows=1,
        style=TableStyle(
            [
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("VALIGN", (0, 1), (-1, -1), "TOP"),
                ("BACKGROUND", (0, 0), (-1, 0), TINT),
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
                ("LEFTPADDING", (0, 0), (-1, -1), 4),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 2.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        ),
    )


def document(story: Sequence[Flowable], title: str, stamp: Sequence[str]) -> bytes:
    """A PDF on A4; the same arguments give the same bytes.

    Args:
        story: the content, top to bottom; it cannot be used twice.
        title: shown at the top of every page and in the PDF's metadata.
        stamp: lines at the foot of every page.
    """
    footer = [paragraph(line, style=_STAMP) for line in stamp]
    heights = [line.wrap(WIDTH, A4[1])[1] for line in footer]
    bottom = 9 * mm + sum(heights) + 6
    top = A4[1] - 16 * mm
    frame = Frame(MARGIN, bottom, WIDTH, top - bottom, 0, 0, 0, 0)
    buffer = io.BytesIO()
    template = BaseDocTemplate(
        buffer,
        pagesize=A4,
        pageTemplates=[
            PageTemplate(frames=[frame], onPage=_furniture(printable(title, 90), footer, heights))
        ],
        title=printable(title, 90),
        author="hemodetect",
        lang="en",
        initialFontName=FONT,
        invariant=1,
    )
    with _ONE_AT_A_TIME:
        template.build(list(story), canvasmaker=_CountingCanvas)
    return buffer.getvalue()


_TOTAL = "number-of-pages"


class _CountingCanvas(Canvas):
    """Pages refer to a form with the number of pages, which is known after the last page."""

    def save(self) -> None:
        self.beginForm(_TOTAL)
        self.setFillColor(GREY)
        self.setFont(FONT, 7)
        self.drawString(0, 0, str(self.getPageNumber() - 1))
        self.endForm()
        super().save()


def _furniture(
    title: str, foot: Sequence[Paragraph], heights: Sequence[float]
) -> Callable[[Canvas, BaseDocTemplate], None]:
    """Draws the header and the footer of every page."""

    def draw(canvas: Canvas, template: BaseDocTemplate) -> None:
        canvas.saveState()
        canvas.setFillColor(GREY)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.4)
        head = A4[1] - 11 * mm
        canvas.setFont(FONT, 7)
        canvas.drawString(MARGIN, head, title)
        number = f"Page {template.page} of "
        left = A4[0] - MARGIN - stringWidth(number + "0", FONT, 7)
        canvas.drawString(left, head, number)
        canvas.translate(left + stringWidth(number, FONT, 7), head)
        canvas.doForm(_TOTAL)
        canvas.restoreState()
        canvas.saveState()
        y = 9 * mm + sum(heights)
        canvas.setStrokeColor(RULE)
        canvas.setLineWidth(0.4)
        canvas.line(MARGIN, y + 3, A4[0] - MARGIN, y + 3)
        for line, height in zip(foot, heights, strict=True):
            y -= height
            line.drawOn(canvas, MARGIN, y)
        canvas.restoreState()

    return draw

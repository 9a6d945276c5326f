#!/usr/bin/env python3
"""Draws a captured terminal (`tmux capture-pane -e -N -p`) as SVG.

    draw.py COLUMNS ROWS TITLE < screen.ansi > screen.svg

Text stays text; lines, blocks and braille dots become shapes, so that they join whatever the
reader's font is. Uses the standard library only. What the screen shows is none of its business.
"""

import re
import sys
import unicodedata
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape

CELL_W, CELL_H, PAD, BAR = 8.4, 17.0, 14.0, 30.0
FONT = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
INK, PAPER, FRAME = "#cfd4dc", "#12151b", "#1c212a"
# The sixteen colours a theme is made of: black, red, green, yellow, blue, magenta, cyan, white.
ANSI = [
    "#20252e", "#e8646f", "#86c06c", "#dfb05f", "#5ea8ea", "#bf7cd6", "#55b4c0", "#b4bac5",
    "#6a7280", "#ff8a93", "#a6de86", "#fbd07f", "#86c5ff", "#dc9cf0", "#7ad8e2", "#f4f6fa",
]
# How a line leaves the middle of its cell: up, right, down, left; 1 is light, 2 is heavy.
LINES = {
    "│": "1010", "┌": "0110", "┐": "0011", "└": "1100", "┘": "1001",
    "├": "1110", "┤": "1011", "┬": "0111", "┴": "1101", "┼": "1111", "╴": "0001",
    "╶": "0100", "╷": "0010", "╵": "1000", "┃": "2020", "╸": "0002", "╺": "0200",
}
# Full width, so that many in a row are one shape: how high; 0 is the whole cell.
REPEATED = {"─": 1, "━": 2, "█": 0}
# Rounded corners: from which side, to which side.
CORNERS = {"╭": "dr", "╮": "dl", "╰": "ur", "╯": "ul"}
# Braille: which bit is the dot in which column and row.
DOTS = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}
TOKEN = re.compile(r"\x1b\[([0-9;:]*)m|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].|[\x0e\x0f]|(.)")


@dataclass(frozen=True)
class Style:
    """How one cell is drawn."""

    ink: str | None = None
    paper: str | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    struck: bool = False
    reverse: bool = False

    def colours(self):
        """Returns ink and paper as they are seen."""
        ink, paper = self.ink or INK, self.paper or PAPER
        if self.reverse:
            ink, paper = paper, ink
        return (mix(ink, paper, 0.6) if self.dim else ink), paper


def mix(over, under, share):
    """Returns a colour between two."""
    pairs = ((int(over[i : i + 2], 16), int(under[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a * share + b * (1 - share)):02x}" for a, b in pairs)


def indexed(n):
    """Returns a colour of the table of 256."""
    if n < 16:
        return ANSI[n]
    if n < 232:
        steps = (0, 95, 135, 175, 215, 255)
        return "#" + "".join(f"{steps[(n - 16) // k % 6]:02x}" for k in (36, 6, 1))
    return "#" + f"{8 + (n - 232) * 10:02x}" * 3


ON = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "reverse", 9: "struck"}
OFF = {22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 27: ("reverse",), 29: ("struck",)}


def styled(style, codes):
    """Returns the style after one SGR sequence."""
    numbers = [int(code or 0) for code in re.split("[;:]", codes)]
    while numbers:
        code = numbers.pop(0)
        if code == 0:
            style = Style()
        elif code in ON:
            style = replace(style, **{ON[code]: True})
        elif code in OFF:
            style = replace(style, **dict.fromkeys(OFF[code], False))
        elif code in (38, 48) and numbers:
            if numbers.pop(0) == 5:
                colour = indexed(numbers.pop(0))
            else:
                colour = "#" + "".join(f"{numbers.pop(0):02x}" for _ in range(3))
            style = replace(style, **{"ink" if code == 38 else "paper": colour})
        elif code in (39, 49):
            style = replace(style, **{"ink" if code == 39 else "paper": None})
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, ink=ANSI[code - 30 if code < 90 else code - 82])
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, paper=ANSI[code - 40 if code < 100 else code - 92])
    return style


def columns(char):
    """Returns how many cells a character takes."""
    if unicodedata.combining(char) or unicodedata.category(char) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def cells(text, width, height):
    """Reads a capture into rows of (text, style); the second half of a wide one has no text."""
    rows, style = [], Style()
    for line in text.split("\n")[:height]:
        row = []
        for found in TOKEN.finditer(line):
            if found[1] is not None:
                style = styled(style, found[1])
            elif found[2] and columns(found[2]):
                row.append((found[2], style))
                row.extend([("", style)] * (columns(found[2]) - 1))
            elif found[2] and row:
                row[-1] = (row[-1][0] + found[2], row[-1][1])
        rows.append((row + [(" ", Style())] * width)[:width])
    return rows + [[(" ", Style())] * width] * (height - len(rows))


def rect(x, y, w, h, fill, opacity=1.0):
    """Draws a rectangle."""
    faint = f' fill-opacity="{opacity}"' if opacity < 1 else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" fill="{fill}"{faint}/>'


def shape(char, x, y, ink, count):
    """Draws a line, block or braille character; nothing when it is ordinary text."""
    code, mid_x, mid_y = ord(char[0]), x + CELL_W / 2, y + CELL_H / 2
    if char in REPEATED:
        part = REPEATED[char] or CELL_H
        return rect(x, mid_y - part / 2, CELL_W * count, part, ink)
    if char in LINES:
        up, right, down, left = (int(weight) for weight in LINES[char])
        half = 0.5 * max(up, right, down, left)
        parts = []
        if up or down:
            top, end = (y if up else mid_y - half), (y + CELL_H if down else mid_y + half)
            parts.append(rect(mid_x - half, top, 2 * half, end - top, ink))
        if left or right:
            start, end = (x if left else mid_x - half), (x + CELL_W if right else mid_x + half)
            parts.append(rect(start, mid_y - half, end - start, 2 * half, ink))
        return "".join(parts)
    if char in CORNERS:
        vertical, side = CORNERS[char]
        end_y = y if vertical == "u" else y + CELL_H
        end_x = x if side == "l" else x + CELL_W
        curve = f"M{mid_x:.1f} {end_y:.1f}Q{mid_x:.1f} {mid_y:.1f} {end_x:.1f} {mid_y:.1f}"
        return f'<path d="{curve}" fill="none" stroke="{ink}"/>'
    if 0x2581 <= code <= 0x2588:
        part = CELL_H * (code - 0x2580) / 8
        return rect(x, y + CELL_H - part, CELL_W, part, ink)
    if 0x2589 <= code <= 0x258F:
        return rect(x, y, CELL_W * (0x2590 - code) / 8, CELL_H, ink)
    if char in SHADES:
        return rect(x, y, CELL_W, CELL_H, ink, SHADES[char])
    if 0x2800 <= code <= 0x28FF:
        at = [DOTS[bit] for bit in range(8) if (code - 0x2800) >> bit & 1]
        dots = ((x + CELL_W * (0.25 + 0.5 * c), y + CELL_H * (0.125 + 0.25 * r)) for c, r in at)
        path = "".join(f"M{px - 1:.1f} {py - 1:.1f}h2v2h-2z" for px, py in dots)
        return f'<path d="{path}" fill="{ink}"/>' if path else ""
    return None


def words(text, x, y, style, ink):
    """Draws text, word by word so that every word keeps its column in any font."""
    look = ' font-weight="bold"' if style.bold else ""
    look += ' font-style="italic"' if style.italic else ""
    lines = [n for n, on in (("underline", style.underline), ("line-through", style.struck)) if on]
    look += f' text-decoration="{" ".join(lines)}"' if lines else ""
    drawn = []
    for word in re.finditer(r"\S+", text):
        before = sum(columns(char) for char in text[: word.start()])
        length = sum(columns(char) for char in word[0]) * CELL_W
        drawn.append(
            f'<text x="{x + before * CELL_W:.1f}" y="{y + CELL_H * 0.75:.1f}" fill="{ink}"'
            f' textLength="{length:.1f}" lengthAdjust="spacingAndGlyphs"{look}>'
            f"{escape(word[0])}</text>"
        )
    return "".join(drawn)


def run(row, start, end, top):
    """Draws neighbouring cells of one style."""
    style = row[start][1]
    ink, paper = style.colours()
    left = PAD + start * CELL_W
    drawn = [rect(left, top, (end - start) * CELL_W, CELL_H, paper)] if paper != PAPER else []
    text, text_at, at = "", left, start
    while at < end:
        char, count = row[at][0], 1
        while char in REPEATED and at + count < end and row[at + count][0] == char:
            count += 1
        drawing = shape(char, PAD + at * CELL_W, top, ink, count) if char.strip() else None
        at += count
        if drawing is None:
            text += char
        else:
            drawn += [words(text, text_at, top, style, ink), drawing]
            text, text_at = "", PAD + at * CELL_W
    return "".join(drawn) + words(text, text_at, top, style, ink)


def svg(rows, width, height, title):
    """Draws the whole terminal with a title bar."""
    all_w, all_h = width * CELL_W + 2 * PAD, height * CELL_H + 2 * PAD + BAR
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {all_w:.0f} {all_h:.0f}"'
        f' font-family="{FONT}" font-size="14" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>',
        f'<path d="M0 {BAR}V8q0-8 8-8H{all_w - 8:.0f}q8 0 8 8V{BAR}z" fill="{FRAME}"/>',
        f'<text x="50%" y="20" fill="{mix(INK, FRAME, 0.7)}" text-anchor="middle">'
        f"{escape(title)}</text>",
    ]
    for number, row in enumerate(rows):
        start, top = 0, PAD + BAR + number * CELL_H
        for at in range(1, width + 1):
            if at == width or row[at][1] != row[start][1]:
                drawn.append(run(row, start, at, top))
                start = at
    return "\n".join(part for part in drawn if part) + "\n</svg>\n"


def main():
    """Reads the arguments and the capture."""
    if len(sys.argv) != 4 or not (sys.argv[1].isdigit() and sys.argv[2].isdigit()):
        sys.exit(__doc__)
    width, height = int(sys.argv[1]), int(sys.argv[2])
    sys.stdin.reconfigure(encoding="utf-8", errors="replace")
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(svg(cells(sys.stdin.read(), width, height), width, height, sys.argv[3]))


if __name__ == "__main__":
    main()

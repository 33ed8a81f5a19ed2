"""Make data/noto-emoji/ again: every emoji of Debian's Noto Color Emoji as one lossless sheet, with what Unicode says.

Needs Debian's packages fonts-noto-color-emoji and unicode-data, and `pip install fonttools uharfbuzz` (for this script
only). Run from the root of the repository: python data/make_emoji.py
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import lzma
import os
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import uharfbuzz
from emoji_names import Namer
from fontTools.ttLib import TTFont
from PIL import Image

HERE = Path(__file__).resolve().parent
SIDE, COLUMNS = 64, 64
# Pieces that only follow: the font also knows each sequence reversed, for text that runs from right to left.
FOLLOWERS = {0x27A1, 0x2640, 0x2642, 0x2194, 0x2195, 0x1F4A5, 0x1F525, 0x1F7E9, 0x1F7EB, 0x1F9D2}
CANCEL_TAG = 0xE007F


class EmojiFont:
    """The font's bitmaps, and which sequence of code points leads to which of them."""

    def __init__(self, path: Path) -> None:
        self.tables = TTFont(path)
        self.bitmaps = {name: glyph.imageData for name, glyph in self.tables["CBDT"].strikeData[0].items()}
        self.shaper = uharfbuzz.Font(uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path))))
        self.order = self.tables.getGlyphOrder()
        self.code_points = defaultdict(list)      # glyph -> single code points
        for code, glyph in self.tables.getBestCmap().items():
            self.code_points[glyph].append(code)
        self.ligatures = defaultdict(list)        # glyph -> sequences of glyphs that are replaced by it
        for lookup in self.tables["GSUB"].table.LookupList.Lookup:
            for table in lookup.SubTable:
                for first, found in getattr(table, "ligatures", {}).items():
                    for ligature in found:
                        self.ligatures[ligature.LigGlyph].append((first, *ligature.Component))

    def glyph(self, sequence: tuple[int, ...]) -> str | None:
        """The one bitmap that the text shows as, or None."""
        buffer = uharfbuzz.Buffer()
        buffer.add_codepoints(list(sequence))
        buffer.guess_segment_properties()
        uharfbuzz.shape(self.shaper, buffer, {})
        names = [self.order[info.codepoint] for info in buffer.glyph_infos]
        return names[0] if len(names) == 1 and names[0] in self.bitmaps else None

    def sequences(self, glyph: str, above: tuple[str, ...] = ()) -> list[tuple[int, ...]]:
        """Every sequence of code points that its ligatures spell for a glyph."""
        found = [(code,) for code in self.code_points[glyph]]
        for pieces in self.ligatures[glyph]:
            if not set(pieces) & {glyph, *above}:
                spelled = [self.sequences(piece, (*above, glyph)) for piece in pieces]
                found += [sum(parts, ()) for parts in itertools.product(*spelled)]
        return found

    def unlisted(self, known: set[str], is_lone_component) -> dict[str, tuple[int, ...]]:
        """Emoji that the font has and emoji-test.txt has not: newer ones and flags of regions. Glyph -> sequence."""
        result = {}
        for glyph in self.bitmaps.keys() - known:
            spelled = [s for s in self.sequences(glyph) if self.glyph(s) == glyph and s[0] not in FOLLOWERS]
            spelled = [s for s in spelled if not is_lone_component(s) and s != (CANCEL_TAG, 0x1F3F4)]
            # A black flag with no region is the font's mark for "unknown flag", and no emoji.
            spelled = [s for s in spelled if s != (0x1F3F4, CANCEL_TAG)]
            if spelled:
                result[glyph] = min(spelled, key=lambda s: (len(s), s))
        return result


def draw(png: bytes) -> np.ndarray:
    """A 136x128 bitmap on white, (64, 64, 3) uint8.

    The outer 4 columns of every bitmap are empty, so the reduction is an exact mean of 2x2 pixels."""
    rgba = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA")).astype(np.int32)       # (128, 136, 4)
    if rgba.shape != (128, 136, 4) or rgba[:, :4, 3].any() or rgba[:, -4:, 3].any():
        raise SystemExit("a bitmap is not 136x128 with empty margins: this font is laid out in another way")
    color, alpha = rgba[:, 4:-4, :3], rgba[:, 4:-4, 3:]
    on_white = (color * alpha + 255 * (255 - alpha) + 127) // 255                          # (128, 128, 3)
    return ((on_white.reshape(SIDE, 2, SIDE, 2, 3).sum(axis=(1, 3)) + 2) // 4).astype(np.uint8)


def write(path: Path, content: bytes) -> None:
    """Write whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    os.replace(part, path)
    print(f"{path}: {len(content):,} bytes")


def sheet(images: list[np.ndarray]) -> bytes:
    """All images, COLUMNS to a row, as a lossless WebP."""
    rows = -(-len(images) // COLUMNS)
    cells = np.full((rows * COLUMNS, SIDE, SIDE, 3), 255, np.uint8)
    cells[:len(images)] = images
    page = cells.reshape(rows, COLUMNS, SIDE, SIDE, 3).transpose(0, 2, 1, 3, 4)
    page = page.reshape(rows * SIDE, COLUMNS * SIDE, 3)
    stream = io.BytesIO()
    Image.fromarray(page).save(stream, "WEBP", lossless=True, quality=100, method=6)
    again = np.asarray(Image.open(io.BytesIO(stream.getvalue())).convert("RGB"))
    assert np.array_equal(again, page), "the sheet does not decode to what was encoded"
    return stream.getvalue()


def font_license(copyright_file: Path, notice: str) -> str:
    """The font's license as Debian's copyright file gives it, without that file's indentation."""
    text = copyright_file.read_text(encoding="utf-8").split("License:   SIL-1.1\n")[-1]
    body = "\n".join("" if line == " ." else line[1:] for line in text.splitlines())
    return f"Noto Color Emoji. {notice}\n\n{body.strip()}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--font", type=Path, default=Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"))
    parser.add_argument("--unicode", type=Path, default=Path("/usr/share/unicode"))
    parser.add_argument("--doc", type=Path, default=Path("/usr/share/doc"))
    parser.add_argument("--out", type=Path, default=HERE / "noto-emoji")
    arguments = parser.parse_args()

    font, namer = EmojiFont(arguments.font), Namer(arguments.unicode)
    shown = defaultdict(list)                     # glyph -> the sequences it shows, in Unicode's order
    for sequence in namer.listed:
        shown[font.glyph(sequence)].append(sequence)
    if None in shown:
        raise SystemExit(f"the font lacks {shown[None]}: it is older than these Unicode files")
    extra = font.unlisted(set(shown), namer.is_lone_component)
    for glyph, sequence in sorted(extra.items(), key=lambda item: item[1]):
        shown[glyph].append(sequence)

    rows = [namer.describe(sequences) for sequences in shown.values()]
    table = "\n".join("\t".join(row) for row in [namer.COLUMNS, *rows]) + "\n"
    write(arguments.out / "sheet.webp", sheet([draw(font.bitmaps[glyph]) for glyph in shown]))
    write(arguments.out / "emoji.tsv.xz", lzma.compress(table.encode(), preset=9 | lzma.PRESET_EXTREME))
    names = font.tables["name"]
    info = {"images": len(shown), "listed": len(shown) - len(extra), "columns": COLUMNS, "side": SIDE,
            "font": names.getDebugName(5), "unicode_emoji": namer.version}
    write(arguments.out / "info.json", (json.dumps(info, indent=2) + "\n").encode())
    notice = f"{names.getDebugName(0)} {names.getDebugName(13)}"
    doc = font_license(arguments.doc / "fonts-noto-color-emoji/copyright", re.sub(r"\s+", " ", notice))
    write(arguments.out / "LICENSE-OFL-1.1.txt", doc.encode())
    write(arguments.out / "LICENSE-Unicode.txt", (arguments.doc / "unicode-data/copyright").read_bytes())


if __name__ == "__main__":
    main()

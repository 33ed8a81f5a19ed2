"""What Unicode's own files say of an emoji: name, group, skin tone, gender, hair, and the base it is a variant of."""

from __future__ import annotations

import re
from pathlib import Path

VARIATION, JOINER, RIGHT = 0xFE0F, 0x200D, 0x27A1
TONES = {0x1F3FB: "light", 0x1F3FC: "medium-light", 0x1F3FD: "medium", 0x1F3FE: "medium-dark", 0x1F3FF: "dark"}
HAIR = ("red hair", "curly hair", "white hair", "bald", "blond hair")
FEMALE = re.compile(r"\b(woman|women|girls?|princess|Mrs\.|mermaid)(?!\w)")
MALE = re.compile(r"\b(man|men|boys?|prince|Santa|merman)(?!\w)")
FEMALE_SIGN, MALE_SIGN = 0x2640, 0x2642
BODY_PARTS = ("hand", "body-parts", "person-symbol")
ADULTS, ADULT = {0x1F468, 0x1F469, 0x1F9D1}, 0x1F9D1
# Different code points that are one emoji drawn for another gender: they must share a base, or one twin could be in
# train and the other in test. Keys are what is left after tones, gender signs, hair and direction are taken away.
TWINS = {(0x1F934,): (0x1FAC5,), (0x1F478,): (0x1FAC5,),                       # prince, princess, person with crown
         (0x1F936,): (0x1F385,), (0x1F9D1, 0x1F384): (0x1F385,),               # Mrs. Claus, mx claus, Santa Claus
         (0x1F57A,): (0x1F483,),                                               # man dancing, woman dancing
         (0x1F930,): (0x1FAC4,), (0x1FAC3,): (0x1FAC4,),                       # pregnant
         (0x1F474,): (0x1F9D3,), (0x1F475,): (0x1F9D3,),                       # old
         (0x1F466,): (0x1F9D2,), (0x1F467,): (0x1F9D2,),                       # boy, girl, child
         (0x1F471,): (0x1F9D1,), (0x1F9D4,): (0x1F9D1,),                       # blond, beard: a plain adult
         (0x1F46B,): (0x1F46D,), (0x1F46C,): (0x1F46D,), (0x1F9D1, 0x1F91D, 0x1F9D1): (0x1F46D,),  # holding hands
         (0x1F931,): (0x1F9D1, 0x1F37C),                                       # breast-feeding, feeding
         (0x1FAF1, 0x1FAF2): (0x1F91D,)}                                       # handshake of two tones
KISS, HEART, FAMILY, COUPLE = 0x1F48B, 0x2764, 0x1F46A, 0x1F491
HAIR_PIECES = range(0x1F9B0, 0x1F9B4)


def bare(sequence: tuple[int, ...]) -> tuple[int, ...]:
    """Without the selector that only asks for the colored form."""
    return tuple(code for code in sequence if code != VARIATION)


def base_of(sequence: tuple[int, ...]) -> tuple[int, ...]:
    """The sequence that all skin tones, genders, hair styles and directions of an emoji share."""
    dropped = {VARIATION, JOINER, FEMALE_SIGN, MALE_SIGN, RIGHT, *TONES, *HAIR_PIECES}
    kept = tuple(ADULT if code in ADULTS else code for code in sequence if code not in dropped) or bare(sequence)
    people = {ADULT, 0x1F9D2, 0x1F466, 0x1F467}
    if KISS in kept and len(kept) > 1:
        return (0x1F48F,)
    if HEART in kept and ADULT in kept:
        return (COUPLE,)
    if len(kept) > 1 and set(kept) <= people:
        return (FAMILY,)
    if all(code in TONES for code in bare(sequence)):
        return (0x1F3FB,)                         # the five swatches are tones of one another
    return TWINS.get(kept, kept)


def skin_tone(sequence: tuple[int, ...]) -> str:
    """none, one of the five tones, or mixed where two people differ."""
    tones = {TONES[code] for code in sequence if code in TONES}
    return "none" if not tones else tones.pop() if len(tones) == 1 else "mixed"


def gender(name: str, sequence: tuple[int, ...], group: str, subgroup: str) -> str:
    """none (no person), person (not stated), man, woman, or both."""
    if group != "People & Body" or subgroup.startswith(BODY_PARTS):
        return "none"
    female = FEMALE_SIGN in sequence or bool(FEMALE.search(name))
    male = MALE_SIGN in sequence or bool(MALE.search(name))
    return "both" if female and male else "woman" if female else "man" if male else "person"


class Namer:
    """Unicode's emoji-test.txt, emoji-data.txt and UnicodeData.txt, read once."""

    COLUMNS = ("codepoints", "name", "group", "subgroup", "skin_tone", "gender", "hair", "base")

    def __init__(self, folder: Path) -> None:
        self.listed: dict[tuple[int, ...], tuple[str, str, str]] = {}   # sequence -> name, group, subgroup
        self._read_test((folder / "emoji/emoji-test.txt").read_text(encoding="utf-8"))
        self.short = {bare(sequence): entry for sequence, entry in self.listed.items()}
        lines = (folder / "UnicodeData.txt").read_text(encoding="utf-8").splitlines()
        self.characters = {int(line.split(";")[0], 16): line.split(";")[1].lower() for line in lines}
        self.components = self._read_property(folder / "emoji/emoji-data.txt", "Emoji_Component")
        self.colored = self._read_property(folder / "emoji/emoji-data.txt", "Emoji_Presentation")

    def _read_test(self, text: str) -> None:
        self.version = re.search(r"# Version: (\S+)", text).group(1)
        group = subgroup = ""
        for line in text.splitlines():
            if found := re.match(r"# (group|subgroup): (.*)", line):
                group, subgroup = (found[2], "") if found[1] == "group" else (group, found[2])
            elif found := re.match(r"([0-9A-F ]+?) *; (fully-qualified|component) *# \S+ E\S+ (.*)", line):
                sequence = tuple(int(code, 16) for code in found[1].split())
                self.listed[sequence] = (found[3], group, subgroup)

    def _read_property(self, path: Path, wanted: str) -> set[int]:
        codes: set[int] = set()
        for line in path.read_text(encoding="utf-8").splitlines():
            if found := re.match(rf"([0-9A-F]+)(?:\.\.([0-9A-F]+))? *; {wanted} ", line):
                codes.update(range(int(found[1], 16), int(found[2] or found[1], 16) + 1))
        return codes

    def is_lone_component(self, sequence: tuple[int, ...]) -> bool:
        """Digits and the keycap's frame: pieces of emoji that alone are text."""
        return len(sequence) == 1 and sequence[0] in self.components - self.colored

    def _compose(self, sequence: tuple[int, ...]) -> tuple[str, str, str]:
        """Name, group, subgroup of an emoji that this emoji-test.txt does not list, from those of its parts."""
        tags = "".join(chr(code - 0xE0000) for code in sequence if 0xE0020 <= code < 0xE007F)
        if tags:
            return f"flag: {tags[:2].upper()}-{tags[2:].upper()}", "Flags", "subdivision-flag"
        plain = tuple(code for code in bare(sequence) if code not in TONES)
        turned = plain[-2:] == (JOINER, RIGHT)
        known = self.short.get(plain[:-2] if turned else plain)
        if known:
            tone = "" if skin_tone(sequence) == "none" else f": {skin_tone(sequence)} skin tone"
            return known[0] + " facing right" * turned + tone, known[1], known[2]
        name = ", ".join(self.characters[code] for code in sequence if code != JOINER)
        if len(sequence) == 1:
            return name, "Component", "regional-indicator"
        like = self.short.get(base_of(sequence)) or self.short[sequence[:1]]
        return name, like[1], like[2]

    def describe(self, sequences: list[tuple[int, ...]]) -> tuple[str, ...]:
        """One row of the table, as COLUMNS says; several sequences where the font draws them all alike (some flags)."""
        sequence = sequences[0]
        entries = [self.listed.get(other) or self._compose(other) for other in sequences]
        name, group, subgroup = "; ".join(entry[0] for entry in entries), *entries[0][1:]
        hair = next((style for style in HAIR if group in ("People & Body", "Component") and style in name), "none")
        return (spell(sequence), name, group, subgroup, skin_tone(sequence), gender(name, sequence, group, subgroup),
                hair, spell(base_of(sequence)))


def spell(sequence: tuple[int, ...]) -> str:
    """Code points as Unicode's files write them."""
    return " ".join(f"{code:04X}" for code in sequence)

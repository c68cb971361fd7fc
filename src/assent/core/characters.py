"""Which characters a reader cannot see, and how they are written so that the reader can.

One classification for cards, terminals and policy: controls, format characters (bidi, zero-width, tags), private use,
surrogates, noncharacters, line and paragraph separators, every space but U+0020, blank letters, variation selectors
and the rest of Default_Ignorable_Code_Point. The ranges are written out, so that one text has one answer on every
Python; code points that Unicode has not assigned yet stay as they are.
"""

import re

# Unicode 16: general categories Cc Cf Co Cs Zl Zp Zs, Default_Ignorable_Code_Point, noncharacters, and two blanks
# that no property names (U+2800 BRAILLE PATTERN BLANK, U+1D159 MUSICAL SYMBOL NULL NOTEHEAD).
_INVISIBLE_RANGES = (
    (0x00, 0x1F),
    (0x7F, 0xA0),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x600, 0x605),
    (0x61C, 0x61C),
    (0x6DD, 0x6DD),
    (0x70F, 0x70F),
    (0x890, 0x891),
    (0x8E2, 0x8E2),
    (0x115F, 0x1160),
    (0x1680, 0x1680),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x2000, 0x200F),
    (0x2028, 0x202F),
    (0x205F, 0x206F),
    (0x2800, 0x2800),
    (0x3000, 0x3000),
    (0x3164, 0x3164),
    (0xD800, 0xF8FF),
    (0xFDD0, 0xFDEF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0xFFFE, 0xFFFF),
    (0x110BD, 0x110BD),
    (0x110CD, 0x110CD),
    (0x13430, 0x1343F),
    (0x1BCA0, 0x1BCA3),
    (0x1D159, 0x1D159),
    (0x1D173, 0x1D17A),
    *((plane * 0x10000 + 0xFFFE, plane * 0x10000 + 0xFFFF) for plane in range(1, 0xE)),
    (0xE0000, 0xE0FFF),
    (0xEFFFE, 0x10FFFF),
)
_CLASS = "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in _INVISIBLE_RANGES)
_INVISIBLE = re.compile(f"[{_CLASS}]")
# A backslash that would read as the start of an escape is escaped itself: what is printed has one meaning.
_ESCAPED = re.compile(rf"[{_CLASS}]|\\(?=u\{{)")


def visible(text: str) -> str:
    r"""Return `text` on one line with every invisible character as `\u{hex}`; different texts stay different."""
    return text if _is_plain(text) and "\\" not in text else _ESCAPED.sub(_escape, text)


def invisible_count(text: str) -> int:
    """Return how many characters of `text` a reader cannot see."""
    return sum(1 for _ in _INVISIBLE.finditer(text))


def hidden_characters(text: str) -> bool:
    """Whether `text` holds at least one character that a reader cannot see."""
    return not _is_plain(text) and _INVISIBLE.search(text) is not None


def _is_plain(text: str) -> bool:
    # Most of what is asked is: every printable character of ASCII can be seen, and this is told without looking for it.
    return text.isascii() and text.isprintable()


def _escape(match: re.Match[str]) -> str:
    return f"\\u{{{ord(match[0]):x}}}"

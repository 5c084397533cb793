"""The second wall: what is no word of haproxy.cfg becomes no part of its model.

Labels were made typed values before (`routes.values`). A parser that takes more than it should
ends here, as a mistake of ours, and not as a line of haproxy.cfg that a stranger wrote.
"""

import re
from collections.abc import Iterable

_WORD = re.compile(r"[A-Za-z0-9_.:/,()@=+~*|?&$!<>;^{}\[\]-]*", re.ASCII)
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def must_be_words(texts: Iterable[str]) -> None:
    """Raise ValueError for a text with a space, quote, `#`, backslash, `%` or line break."""
    for text in texts:
        if not _WORD.fullmatch(text):
            raise ValueError(f"{text[:60]!a} is no word of haproxy.cfg")


def must_be_lines(texts: Iterable[str]) -> None:
    """Raise ValueError for a text with a line break or another control character."""
    for text in texts:
        if _BREAKING.search(text):
            raise ValueError(f"{text[:60]!a} does not fit on a line of haproxy.cfg")

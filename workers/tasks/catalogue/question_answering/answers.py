"""How an answer is compared with those that are right: `exact_match` and `f1_token` as SQuAD's and MLQA's scripts do.

English follows SQuAD 2.0's evaluate-v2.0.py (Rajpurkar et al. 2018); German, Spanish, Vietnamese, Arabic and Chinese
follow MLQA's (Lewis et al. 2019), whose Chinese is compared sign by sign. French takes out FQuAD's articles
(d'Hoffschmidt et al. 2020), elided ones while their apostrophe is there. Imports no torch.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal, get_args

Language = Literal["en", "fr", "de", "es", "vi", "ar", "zh", "other"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "fr": r"\b(le|la|les|du|des|au|aux|un|une)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "ar": r"\sال^|ال",
}
_ELIDED = re.compile(r"\b[ld]['’]")  # l'eau, d'eau
_HAN = re.compile(r"[\u4e00-\u9fa5]")


def words_of(text: str, language: Language) -> list[str]:
    """The words of an answer that count: lower case, without punctuation and articles."""
    text = text.lower()
    if language == "fr":
        text = _ELIDED.sub(" ", text)
    text = "".join(sign for sign in text if not _punctuation(sign, language))
    if language in _ARTICLES:
        text = re.sub(_ARTICLES[language], " ", text)
    return _HAN.sub(r" \g<0> ", text).split() if language == "zh" else text.split()


def _punctuation(sign: str, language: Language) -> bool:
    """SQuAD's script knows ASCII's alone, MLQA's every sign that Unicode calls so."""
    return sign in string.punctuation or (language != "en" and unicodedata.category(sign).startswith("P"))


def exact_match(answer: str, right: Sequence[str], language: Language = "en") -> float:
    """1.0 where an answer's words are those of one of the right ones; none is right where there is no answer."""
    return _best(answer, right, language, lambda own, wanted: float(own == wanted))


def f1_token(answer: str, right: Sequence[str], language: Language = "en") -> float:
    """F1 of an answer's words, as a bag, with the best of the right ones."""
    return _best(answer, right, language, _overlap)


def _best(
    answer: str, right: Sequence[str], language: Language, score: Callable[[list[str], list[str]], float]
) -> float:
    wanted = [words for words in (words_of(one, language) for one in right) if words] or [[]]
    own = words_of(answer, language)
    return max(score(own, words) for words in wanted)


def _overlap(own: list[str], wanted: list[str]) -> float:
    if not own or not wanted:
        return float(own == wanted)
    shared = sum((Counter(own) & Counter(wanted)).values())
    return 2 * shared / (len(own) + len(wanted))

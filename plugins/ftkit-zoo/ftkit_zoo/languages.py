"""The languages of multilingual checkpoints, as their model cards list them (ISO 639-1)."""

from __future__ import annotations


def _codes(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CC100 = _codes(
    "af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr hu hy id is it "
    "ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps pt ro ru sa sd si sk sl so sq "
    "sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh"
)
"""Those of the texts that XLM-RoBERTa and mDeBERTa were pretrained on. Source: the card of FacebookAI/xlm-roberta-base."""

XNLI = _codes("ar bg de el en es fr hi ru sw th tr ur vi zh")
"""Those that multilingual MiniLM was tested on. Source: the card of microsoft/Multilingual-MiniLM-L12-H384."""

QWEN3 = _codes(
    "af ar as az ba be bg bn bs ca cs cy da de el en es et eu fa fi fo fr ga gl gu he hi hr ht hu hy id is it ja jv ka kk "
    "km kn ko lb li lo lt lv mk ml mr ms mt my nb ne nl nn no oc or pa pl pt ro ru sc sd si sk sl sq sr su sv sw ta te tg "
    "th tl tr tt uk ur uz vi yi zh"
)
"""Those of the 119 languages and dialects of Qwen3 that have such a code. Source: Yang et al. 2025, "Qwen3 Technical Report"."""

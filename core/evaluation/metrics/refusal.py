"""Whether an answer says that it cannot be given, in the words of this project's sets and in the usual ones."""

import re
import unicodedata

_SOURCE_ZH = r"(?:文中|文章|原文|上文|本文|文本|文档|背景|资料|材料|段落|片段|信息|内容|上下文|知识库|给定的?|提供的)"
_SAY_ZH = r"(?:提到|提及|提供|说明|给出|包含|涉及|写明|写到|记载|交代|介绍|说|讲|指出|透露|回答|答案)"
_CANNOT_ZH = r"(?:均|都|也)?(?:无法|不能|没法|没办法|难以)(?:从[^。！？\n]{1,12}中?)?(?:直接|准确|明确)?"
_ZH = (
    rf"{_SOURCE_ZH}[^。！？\n]{{0,12}}(?:没有|没|并未|未曾|未|并无)[^。！？，\n]{{0,6}}{_SAY_ZH}",
    rf"{_SOURCE_ZH}[^。！？\n]{{0,12}}不(?:包含|包括|涉及|足以)",
    rf"^(?:没有|并未|未)[^。！？\n]{{0,4}}{_SAY_ZH}",
    r"(?:没有|没|未|未能)(?:找到|查到|检索到|搜索到)?(?:足够的?)?(?:相关|有关|可靠|明确)?的?(?:信息|资料|内容|答案|依据)",
    r"(?:^|我|暂时|目前|[，,])(?:也|还|并)?不(?:知道|清楚|了解|确定)",
    rf"(?:^|我|因此|所以|目前|暂时|[，,]|^(?:根据|依据|从|就|仅凭|由)[^。！？\n]{{1,16}}?){_CANNOT_ZH}"
    r"(?:回答|作答|确定|得知|判断|知道|获知|得出)",
    rf"(?:^|我){_CANNOT_ZH}(?:提供|给出|告诉)",
    r"无从(?:得知|知晓|回答|判断)|不得而知|不可回答|无答案",
)
_SOURCE_EN = r"(?:passages?|texts?|contexts?|background|documents?|articles?|information|sources?|it|story|answer)"
_SAY_EN = (
    r"(?:say|mention|state|specify|provide|contain|include|give|tell|indicate|answer|reveal|disclose|explain|discuss)"
)
_SAID_EN = r"(?:said|mentioned|stated|specified|provided|contained|included|given|told|indicated|answered|available)"
_ZERO_EN = r"(?:do(?:es)? not|did not|don't|doesn't|didn't|cannot|can't)"
_EN = (
    rf"\b{_SOURCE_EN}\b[^.!?\n]{{0,30}}\b{_ZERO_EN}(?: \w+)? {_SAY_EN}\b",
    rf"\b(?:is|are|was|were) (?:not|never|n't)(?: \w+)? {_SAID_EN}\b|\b(?:isn't|aren't|wasn't|weren't) {_SAID_EN}\b",
    rf"^not (?:\w+ )?(?:{_SAID_EN}|answerable|enough information|known)\b",
    r"\bthere (?:is|was) (?:no|not enough|insufficient) (?:\w+ )?(?:information|mention|answer|evidence|data|detail)",
    r"^(?:i'm sorry|i am sorry|sorry|unfortunately)?[,. ]*(?:but )?(?:i|we) "
    r"(?:do not|don't|cannot|can't|could not|couldn't|am not able to|am unable to|have no way to) "
    r"(?:know|answer|find|determine|tell|say|see|have)\b",
    r"\bi(?: am|'m) (?:not sure|unsure|unable)\b|\b(?:cannot|can't|can not) be (?:determined|answered|known|found)\b",
    r"\bunanswerable\b|^(?:unknown|no answer|no information|n/?a|none given)\W*$",
)
_REFUSAL = re.compile("|".join((*_ZH, *_EN)))
_BUT = re.compile(r"但|不过|然而|\bbut\b|\bhowever\b|\bthough\b")
_FIRST = re.compile(r"(?:[^。！？!?.\n]|\.(?=\d))+[。！？!?.]?")


def refused(text: str) -> bool:
    """Whether an answer says that it cannot be given.

    One of its first two sentences says so, and nothing is added to it with a "but": "the passage does not say when,
    but it was before 1952" is an answer. An empty answer is none, and no refusal either.
    """
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'").strip()
    for number, sentence in enumerate(_FIRST.finditer(plain)):
        said = _REFUSAL.search(sentence[0].strip())
        if said:
            rest = sentence[0].strip()[said.end() :] + plain[sentence.end() : sentence.end() + 40]
            return not _BUT.search(rest)
        if number:
            break
    return False

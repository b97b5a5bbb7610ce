"""Conversations of one to five turns, put together from facts, sums, stories and small talk."""

import random

import stories
import sums
import talk
from facts import Fact, spoken
from noise import OPENINGS, roughen
from wording import CHINESE, ENGLISH, bare, held_questions, question, split_wordings_cached

#: One turn: what is asked, what is answered.
Turn = tuple[str, str]

WHERE = ["Where is that?", "Where do I find that?", "And where is it?", "Where exactly?", "Where can I find it?",
         "In which panel?", "Where in Lutra is that?", "where?", "Where do I see that?", "And where do I do that?"]
HELD_WHERE = ["Where would I find this?", "And where can that be found?"]
IN_CHINESE = ["And in Chinese?", "In Chinese, please.", "Say that in Chinese.", "Can you say it in Chinese?", "请用中文回答。",
              "用中文怎么说？", "in Chinese?", "Now in Chinese.", "请说中文。", "What is that in Chinese?"]
HELD_IN_CHINESE = ["Could I have that in Chinese?", "Please say this in Chinese."]
IN_ENGLISH = ["And in English?", "In English, please.", "用英文怎么说？", "Say that in English.", "请用英文回答。", "in English?"]
AGAIN = ["Say that again.", "Repeat that, please.", "Once more?", "I did not get that.", "Pardon?", "again please",
         "Can you repeat that?", "What did you say?"]
HELD_AGAIN = ["Could you say that once more?", "Please repeat."]
WHERE_ZH = ["在哪里？", "那在哪里？", "在哪里找到？", "它在哪个面板？", "具体在哪里？"]
HELD_WHERE_ZH = ["在什么地方？"]
ABOUT = ["What about {x}?", "And {x}?", "How about {x}?", "And what is {x}?", "What about {x}, then?", "and {x}"]
HELD_ABOUT = ["And how is it with {x}?", "Now what about {x}?"]
#: Further ones of training, which the figures never ask.
MORE_WHERE = ["Where's that?", "where is it", "Where must I look?", "Where is this found?", "And where do I see it?", "Which panel is it in?",
              "Where do I click?", "Where is the button?", "Where do I have to go?", "Show me where.", "Tell me where.", "where do i find it",
              "In what panel is that?", "What place is that?", "Where exactly is it?", "I can't find it.", "I do not see it.", "And the place?",
              "On which page?", "Where can I do that?", "Where in the window?", "In which menu?", "Sorry, where?", "where to find this",
              "And where would that be?", "Where can this be found?", "And where can I see this?", "Where would that be in Lutra?",
              "Where was that again?", "where do I go for that", "I am looking for it, where is it?", "Where should I look for it?"]
MORE_IN_CHINESE = ["Chinese, please.", "chinese", "Tell me that in Chinese.", "Can I have it in Chinese?", "Translate that into Chinese.",
                   "The same in Chinese, please.", "How do you say that in Chinese?", "I would like this in Chinese.", "Could you answer in Chinese?",
                   "Now the same in Chinese.", "Answer in Chinese.", "And what is it in Chinese?", "Please answer in Chinese.", "用中文说。",
                   "中文怎么说？", "可以用中文说吗？", "请用中文说一遍。", "翻译成中文。", "中文", "Repeat it in Chinese.", "Please, in Chinese.",
                   "Could you repeat this in Chinese?", "Give me that in Chinese.", "I read Chinese better.", "Write it in Chinese.",
                   "in chinese please", "Would you say it in Chinese?"]
MORE_IN_ENGLISH = ["English, please.", "Tell me that in English.", "Now in English.", "The same in English?", "英文", "翻译成英文。", "可以用英文说吗？",
                   "用英语说。", "Can I have that in English?", "请用英语回答。", "What is that in English?", "英语怎么说？", "Please answer in English."]
MORE_AGAIN = ["Once again, please.", "What was that?", "Sorry, what?", "Say it again.", "I forgot, say it again.", "Come again?", "One more time.",
              "Tell me again.", "Could you repeat it?", "I did not understand, again please.", "repeat", "Again?", "And once more."]
MORE_WHERE_ZH = ["在哪儿？", "去哪里找？", "哪里能看到？", "在哪个页面？", "从哪里进去？", "在哪里可以找到它？", "那个在哪里？", "请问在哪里？", "位置在哪里？",
                 "哪里？", "我找不到。", "怎么找到它？", "这个在哪里设置？", "它在什么位置？", "具体在什么位置？", "在哪一个面板里？", "在哪里操作？"]
AGAIN_ZH = ["再说一遍。", "请重复一下。", "没听懂，再说一次。", "什么？", "再讲一遍可以吗？", "请再说一次。"]
MORE_ABOUT = ["And about {x}?", "Then what is {x}?", "OK, and {x}?", "what about {x}", "Now {x}.", "And {x}, what is that?", "Same question for {x}.",
              "And what does {x} do?", "Is it like that with {x}, too?", "And now {x}.", "Tell me about {x}, too.", "What of {x}?",
              "Next, {x}.", "And what about {x}, please?", "So what is {x}?", "how is {x}?", "And then there is {x}."]
ABOUT_ZH = ["那{x}呢？", "{x}呢？", "那么{x}呢？", "{x}又是什么？", "那什么是{x}？", "再说说{x}。"]
ONLY_ENGLISH = "这个问题我只会用英文回答。"


class Guide:
    """Makes conversations of training from the facts; all choices come from the `rng` that is handed in."""

    def __init__(self, facts: list[Fact]):
        self.facts = facts
        self.chinese = [fact for fact in facts if fact.answer_zh]
        #: What a slip or an exchanged word may never make of a question.
        self.held = {bare(asked) for fact in facts for _, asked in held_questions(fact)}
        self.families: dict[str, list[Fact]] = {}
        for fact in facts:
            self.families.setdefault(fact.family or fact.subject, []).append(fact)

    def fact_turn(self, rng: random.Random) -> tuple[Fact, Turn, str]:
        """A fact, the turn that asks for it, and the language of it."""
        is_chinese = rng.random() < 0.25
        while True:
            fact = rng.choice(self.chinese if is_chinese else self.facts)
            asked = question(fact, rng, CHINESE if is_chinese else ENGLISH)
            if asked is not None and bare(asked) not in self.held:
                return fact, (asked, fact.answer_zh if is_chinese else fact.answer), "zh" if is_chinese else "en"

    def follow(self, fact: Fact, language: str, rng: random.Random) -> tuple[Fact, Turn, str]:
        """A turn that can only be answered by what came before it."""
        draw = rng.random()
        if language == "zh":
            if draw < 0.4 and fact.where_zh:
                return fact, (_either(WHERE_ZH, MORE_WHERE_ZH, rng), fact.where_zh), "zh"
            near = [other for other in self._near(fact) if "zwhat" in other.more and other.answer_zh]
            if draw < 0.55 and near:
                other = rng.choice(near)
                asked = rng.choice(ABOUT_ZH).replace("{x}", spoken(rng.choice(other.more["zwhat"]), rng))
                return other, (asked, other.answer_zh), "zh"
            if draw < 0.62:
                return fact, (rng.choice(AGAIN_ZH), fact.answer_zh), "zh"
            return fact, (_either(IN_ENGLISH, MORE_IN_ENGLISH, rng), fact.answer), "en"
        if draw < 0.33 and fact.where:
            return fact, (roughen(_either(WHERE, MORE_WHERE, rng), rng), fact.where), "en"
        if draw < 0.66:
            asked = _either(IN_CHINESE, MORE_IN_CHINESE, rng)
            asked = roughen(asked, rng) if asked.isascii() else asked
            return (fact, (asked, fact.answer_zh), "zh") if fact.answer_zh else (fact, (asked, ONLY_ENGLISH), "en")
        if draw < 0.9:
            near = [other for other in self._near(fact) if "what" in other.wordings]
            if near:
                other = rng.choice(near)
                asked = _either(ABOUT, MORE_ABOUT, rng).replace("{x}", spoken(rng.choice(split_wordings_cached(other, "what")[0]), rng))
                return other, (roughen(asked, rng), other.answer), "en"
        return fact, (_either(AGAIN, MORE_AGAIN, rng), fact.answer), "en"

    def _near(self, fact: Fact) -> list[Fact]:
        return self.families[fact.family or fact.subject]

    def aside(self, rng: random.Random) -> Turn:
        """A turn that stands for itself: a sum, a story, small talk, or something beyond the guide."""
        make = rng.choices([sums.sample, stories.sample, talk.sample, talk.beyond], [45, 8, 17, 30])[0]
        asked, answer = make(rng)
        if make is not sums.sample and asked.isascii():
            asked = roughen(asked, rng) if make is talk.beyond or rng.random() < 0.3 else asked
        elif make is sums.sample and asked.isascii() and rng.random() < 0.1:
            asked = rng.choice(OPENINGS) + asked
        return asked, answer

    def conversation(self, rng: random.Random) -> list[Turn]:
        """Of one to eight turns."""
        count = rng.choices([1, 2, 3, 4, 5, 6, 8], [54, 10, 20, 7, 4, 3, 2])[0]
        turns: list[Turn] = []
        last: tuple[Fact, str] | None = None
        while len(turns) < count:
            draw = rng.random()
            if last is not None and draw < 0.6:
                fact, turn, language = self.follow(*last, rng)
                last = (fact, language)
            elif draw < 0.7:
                fact, turn, language = self.fact_turn(rng)
                last = (fact, language)
            else:
                turn = self.aside(rng)
                last = None
                if turn[0] in stories.REQUESTS and len(turns) + 1 < count and rng.random() < 0.5:
                    turns.append(turn)
                    turn = (rng.choice(stories.MORE), stories.story(rng))
                elif turn[1] == talk.REFUSAL and len(turns) + 1 < count and rng.random() < 0.2:
                    turns.append(turn)
                    turn = (_either(IN_CHINESE, MORE_IN_CHINESE, rng), talk.REFUSAL_ZH)
            turns.append(turn)
        return turns


def _either(some: list[str], more: list[str], rng: random.Random) -> str:
    return rng.choice(some if rng.random() < 0.4 else more)


#: What a person may have set as system prompt; the guide answers the same.
SYSTEMS = ["You are a helpful assistant.", "You are the guide of Lutra.", "Answer briefly.", "Be kind.",
           "You are lutra-guide.", "Answer in plain words.", "You help people who use Lutra."]

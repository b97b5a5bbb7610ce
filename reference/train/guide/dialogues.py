"""Conversations of one to five turns, put together from facts, sums, stories and small talk."""

import random

import stories
import sums
import talk
from facts import Fact, spoken
from wording import OPENINGS, question, roughen, split_wordings_cached

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
ONLY_ENGLISH = "这个问题我只会用英文回答。"


class Guide:
    """Makes conversations of training from the facts; all choices come from the `rng` that is handed in."""

    def __init__(self, facts: list[Fact]):
        self.facts = facts
        self.chinese = [fact for fact in facts if fact.answer_zh]
        self.families: dict[str, list[Fact]] = {}
        for fact in facts:
            self.families.setdefault(fact.family or fact.subject, []).append(fact)

    def fact_turn(self, rng: random.Random) -> tuple[Fact, Turn, str]:
        """A fact, the turn that asks for it, and the language of it."""
        if rng.random() < 0.15:
            fact = rng.choice(self.chinese)
            asked = question(fact, rng, ("zh",))
            assert asked is not None
            return fact, (asked, fact.answer_zh), "zh"
        while True:
            fact = rng.choice(self.facts)
            asked = question(fact, rng)
            if asked is not None:
                return fact, (asked, fact.answer), "en"

    def follow(self, fact: Fact, language: str, rng: random.Random) -> tuple[Fact, Turn, str]:
        """A turn that can only be answered by what came before it."""
        draw = rng.random()
        if language == "zh":
            if draw < 0.45 and fact.where_zh:
                return fact, (rng.choice(WHERE_ZH), fact.where_zh), "zh"
            return fact, (rng.choice(IN_ENGLISH), fact.answer), "en"
        if draw < 0.33 and fact.where:
            return fact, (roughen(rng.choice(WHERE), rng), fact.where), "en"
        if draw < 0.66:
            if fact.answer_zh:
                return fact, (rng.choice(IN_CHINESE), fact.answer_zh), "zh"
            return fact, (rng.choice(IN_CHINESE), ONLY_ENGLISH), "en"
        if draw < 0.9:
            near = [other for other in self.families[fact.family or fact.subject] if "what" in other.wordings]
            if near:
                other = rng.choice(near)
                asked = rng.choice(ABOUT).replace("{x}", spoken(rng.choice(split_wordings_cached(other, "what")[0]), rng))
                return other, (roughen(asked, rng), other.answer), "en"
        return fact, (rng.choice(AGAIN), fact.answer), "en"

    def aside(self, rng: random.Random) -> Turn:
        """A turn that stands for itself: a sum, a story, small talk, or something beyond the guide."""
        make = rng.choices([sums.sample, stories.sample, talk.sample, talk.beyond], [60, 6, 12, 22])[0]
        asked, answer = make(rng)
        if make is not sums.sample and asked.isascii():
            asked = roughen(asked, rng) if make is talk.beyond else (asked.lower() if rng.random() < 0.2 else asked)
        elif make is sums.sample and asked.isascii() and rng.random() < 0.1:
            asked = rng.choice(OPENINGS) + asked
        return asked, answer

    def conversation(self, rng: random.Random, most: int = 5) -> list[Turn]:
        """Of at most so many turns."""
        count = min(most, rng.choices([1, 2, 3, 4, 5], [62, 10, 22, 4, 2])[0])
        turns: list[Turn] = []
        last: tuple[Fact, str] | None = None
        while len(turns) < count:
            draw = rng.random()
            if last is not None and draw < 0.55:
                fact, turn, language = self.follow(*last, rng)
                last = (fact, language)
            elif draw < 0.65:
                fact, turn, language = self.fact_turn(rng)
                last = (fact, language)
            else:
                turn = self.aside(rng)
                last = None
                if turn[0] in stories.REQUESTS and len(turns) + 1 < count and rng.random() < 0.5:
                    turns.append(turn)
                    turn = (rng.choice(stories.MORE), stories.story(rng))
            turns.append(turn)
        return turns


#: What a person may have set as system prompt; the guide answers the same.
SYSTEMS = ["You are a helpful assistant.", "You are the guide of Lutra.", "Answer briefly.", "Be kind.",
           "You are lutra-guide.", "Answer in plain words.", "You help people who use Lutra."]

"""Questions: how a fact's wordings are put into sentences, with the sloppiness of people who type."""

import random
import re
from functools import cache
from itertools import accumulate

from facts import Fact, all_spoken, split_wordings, spoken
from noise import exchange, gerund, roughen, roughen_zh

ENGLISH = ("what", "how", "error", "ask")
CHINESE = ("zh", "zwhat", "zhow")
FRAMES = {
    "what": [
        "What is {x}?", "What does {x} do?", "What does {x} mean?", "Explain {x}.", "Can you explain {x}?",
        "Tell me about {x}.", "What is {x} for?", "I do not understand {x}.", "Help me understand {x}.", "{x}?", "{x}",
        "Describe {x}.", "What is the use of {x}?", "Please explain {x} to me.", "I have a question about {x}.",
        "What should I know about {x}?", "What about {x}?", "what's {x}", "How does {x} work?", "Why is there {x}?",
        "Do you know {x}?", "Tell me more about {x}.", "What can you tell me about {x}?", "What do you know about {x}?",
        "I would like to know what {x} is.", "Say something about {x}.", "What is meant by {x}?", "Info on {x}, please.",
        "Could somebody explain {x} to me?", "{x}: what is it?", "I wonder what {x} is.", "Why would I use {x}?",
        "Give me some details on {x}.", "I read about {x}, what is it?", "Would you explain {x} in short?", "I need help with {x}.",
        "Teach me about {x}.", "Is there anything to know about {x}?", "When do I need {x}?", "What is the meaning of {x}?",
        "I heard of {x}.", "Please give a description of {x}.", "And what about {x}?", "My question is about {x}.",
    ],
    "how": [
        "How do I {x}?", "How can I {x}?", "How to {x}?", "How would I {x}?", "I want to {x}.", "I would like to {x}.",
        "Is it possible to {x}?", "Is there a way to {x}?", "Where can I {x}?", "Can I {x}?", "Please help me {x}.",
        "Help me {x}.", "I need to {x}.", "Tell me how to {x}.", "Show me how to {x}.", "{x}", "Where do I {x}?",
        "I am trying to {x}.", "What do I do to {x}?", "Could you tell me how to {x}?", "how could one {x}",
        "I don't know how to {x}.", "Can you help me to {x}?", "How should I {x}?",
        "What must I do to {x}?", "How does one {x}?", "Teach me to {x}.", "What do I press to {x}?", "Any way to {x}?",
        "I need help to {x}.", "What is needed to {x}?", "I'd like to {x}, how?", "Is there an option to {x}?", "I can't {x}.",
        "Which way can I {x}?", "Am I able to {x}?", "Let me {x}.", "What is the way to {x}?", "I have to {x}.",
        "How is it possible to {x}?", "May I {x}?", "Please explain how to {x}.", "Does Lutra let me {x}?", "I wonder how to {x}.",
    ],
    "error": [
        "It says {x}.", "I see the message {x}.", "I get an error: {x}.", "Why do I get {x}?",
        "What does the error {x} mean?", "{x}", "What can I do about {x}?", "Lutra shows {x}.", "Help, {x}!",
        "What should I do when it says {x}?", "I got {x}, what now?", "How do I fix {x}?", "Error: {x}",
        'It says "{x}".', "What does {x} mean?", "The error is {x}.",
        "I am told {x}.", "A message says {x}.", "Lutra tells me {x}.", "Now it says {x}, why?", "How can I solve {x}?",
        "What is wrong when it says {x}?", "There is the message {x}.", "Suddenly I get {x}.", "{x}. What should I do?",
        "I always see {x}.", "What is the reason for {x}?", "The app complains: {x}.",
    ],
    "ask": ["{x}"],
    "zh": ["{x}"],
}
#: Sentences that training never uses.
HELD_FRAMES = {
    "what": ["Could you tell me what {x} is?", "What exactly is {x}?", "Give me a short explanation of {x}.",
             "I am curious about {x}.", "How would you describe {x}?"],
    "how": ["What is the best way to {x}?", "Can you show me how I {x}?", "I wish to {x}.", "Do you know how to {x}?",
            "What are the steps to {x}?"],
    "error": ["There is an error that reads {x}.", "What is the cure for {x}?", "My screen shows {x}. What now?",
              "How do I get rid of {x}?"],
    "ask": ["{x}"],
    "zh": ["{x}"],
}
#: Further sentences of training, which no question of the figures is put into.
MORE_FRAMES = {
    "what": [
        "{x} - what's that?", "{x}, please.", "Whatever is {x}?", "Where does {x} help?", "Can you say more about {x}?", "Let us talk about {x}.",
        "I'm looking for information about {x}.", "What is {x} good for?", "I keep seeing {x}, what is it?", "Do I need {x}?",
        "Why does Lutra have {x}?", "I'd like to learn about {x}.", "In plain words, what is {x}?", "What happens with {x}?", "help {x}",
        "What is there to say about {x}?", "Who needs {x}?", "I see {x} on the screen, what does it do?", "tell me something on {x}",
        "What do people use {x} for?", "Can somebody tell me what {x} is for?", "{x}? Never heard of it.", "A word about {x}, please.",
        "What's the deal with {x}?", "What's the point of {x}?", "define {x}", "Summarise {x} for me.", "How am I to understand {x}?",
        "What role does {x} have?", "what is this {x} thing", "I have never used {x}.", "Introduce me to {x}.", "I want to understand {x}.",
        "Please say what {x} is.", "More on {x}?", "Is {x} important?", "how to use {x}", "How do I use {x}?", "Where do I find {x}?",
        "Say what {x} means.", "I stumbled over {x}.", "I'm confused by {x}.",
    ],
    "how": [
        "What's the way to {x}?", "how do you {x}", "Which button do I press to {x}?", "I'm not able to {x}.", "Is it allowed to {x}?",
        "Someone told me I could {x}.", "To {x}, what do I do?", "What would I do to {x}?", "Where in Lutra do I {x}?", "I must {x}.",
        "Can Lutra {x}?", "Is there some trick to {x}?", "I was wondering how to {x}.", "Guide me: how to {x}?", "I fail to {x}.",
        "Can one {x}?", "Instructions to {x}, please.", "I need a way to {x}.", "Where must I click to {x}?", "I tried to {x}.",
        "My goal is to {x}.", "Walk me through how to {x}.", "If I want to {x}, where do I go?", "Could I {x}?", "I plan to {x}.",
        "I am about to {x}.", "Do you know whether I can {x}?", "It should be possible to {x}, but how?", "Say how I {x}.",
        "Which menu lets me {x}?", "Is there a button to {x}?", "What is the shortest way to {x}?", "I never managed to {x}.",
        "how can you {x}?", "Explain how I can {x}.", "how would you {x} here", "I forgot how to {x}.", "Is there any possibility to {x}?",
        "We want to {x}.", "Let's {x}.", "Would Lutra {x}?", "It would be nice to {x}.", "Where to {x}?", "I hope to {x}.",
    ],
    "error": [
        "{x}?", "{x}!", "Problem: {x}.", "It failed: {x}", "I keep getting {x}.", "What now? {x}.", "A red notice says {x}.", "Oh no, {x}.",
        "There's a warning: {x}.", "It stopped with {x}.", "When I load a model it says {x}.", "Why {x}?", "I cannot go on: {x}.",
        "How bad is it when it says {x}?", "Is {x} my fault?", "What did I do wrong? It says {x}.", "Please help: {x}.", "Lutra reports {x}.",
        "A notice appeared: {x}.", "I was working and then: {x}.", "Can I do something against {x}?", "What causes {x}?",
        "Since today I see {x}.", "It complains that {x}.", "Please explain the message {x}.", "{x} - why?", "{x} - what can be done?",
        "I read {x} and do not know what to do.", "Got {x}.", "It tells me: {x}", "Whenever I try, {x}.",
    ],
}
#: Sentences for a doing that is named, not done: "exporting a chat".
NAMED_FRAMES = ["Tell me about {x}.", "{x}", "{x}?", "What about {x}?", "Explain {x}.", "I have a question about {x}.", "Help with {x}, please.",
                "I need help with {x}.", "Is {x} possible?", "How does {x} work?", "I am interested in {x}.", "Where is the button for {x}?",
                "What do you know about {x}?", "Any help with {x}?", "Can you assist me with {x}?", "I have trouble {x}.", "Try {x}: how?"]
CHINESE_FRAMES = {
    "zwhat": ["什么是{x}？", "{x}是什么？", "{x}", "{x}？", "{x}是什么意思？", "{x}有什么用？", "介绍一下{x}。", "请介绍{x}。", "解释一下{x}。",
              "我想了解{x}。", "说说{x}。", "{x}怎么用？", "{x}怎么样？", "关于{x}，能说说吗？", "我不懂{x}。", "{x}是干什么的？", "{x}是做什么的？",
              "{x}的作用是什么？", "能讲讲{x}吗？", "告诉我{x}是什么。", "{x}到底是什么？", "有{x}吗？", "为什么有{x}？", "怎么理解{x}？", "{x}在哪里？",
              "{x}有什么作用？", "请说明{x}。", "看到了{x}，是什么？", "{x}好用吗？", "想知道{x}是什么。"],
    "zhow": ["怎么{x}？", "如何{x}？", "怎样{x}？", "我想{x}。", "能{x}吗？", "可以{x}吗？", "怎么才能{x}？", "在哪里{x}？", "{x}", "{x}怎么做？",
             "我要{x}。", "请问怎么{x}？", "教我{x}。", "帮我{x}。", "想{x}，怎么办？", "{x}的方法是什么？", "有办法{x}吗？", "能不能{x}？", "我不会{x}。",
             "需要{x}，怎么操作？", "告诉我怎么{x}。", "要{x}该怎么做？", "哪里可以{x}？", "怎么样才能{x}？", "{x}要怎么弄？", "支持{x}吗？",
             "我怎么{x}？", "如果想{x}呢？", "为什么不能{x}？", "{x}在哪里操作？"],
}


def fill(frame: str, wording: str) -> str:
    text = frame.replace("{x}", wording)
    return text[:1].upper() + text[1:]


@cache
def _choices(fact: Fact, kinds: tuple[str, ...]) -> tuple[list[tuple[str, str]], list[float]]:
    """(kind, wording) of training, and how often each comes, added up."""
    chosen = [(kind, wording) for kind in kinds for wording in split_wordings_cached(fact, kind)[0]]
    chosen += [(kind, wording) for kind in kinds for wording in fact.more.get(kind, [])]
    # What stands for many is likelier, but not by so much as to drown the rest.
    return chosen, list(accumulate(len(all_spoken_cached(wording)) ** 0.5 for _, wording in chosen))


def question(fact: Fact, rng: random.Random, kinds: tuple[str, ...] = ENGLISH) -> str | None:
    """A question of training for the fact; None where it has no wording of these kinds."""
    choices, weights = _choices(fact, kinds)
    if not choices:
        return None
    while True:
        kind, wording = rng.choices(choices, cum_weights=weights)[0]
        said = spoken(wording, rng)
        if kind in CHINESE and kind != "zh":
            said = rng.choice(CHINESE_FRAMES[kind]).replace("{x}", said)
        elif kind not in CHINESE and rng.random() < 0.4:
            said = exchange(said, rng)
        if not says_held(fact, said):
            break
    if kind in CHINESE:
        return roughen_zh(said, rng)
    if kind == "how" and rng.random() < 0.1:
        return roughen(fill(rng.choice(NAMED_FRAMES), gerund(said)), rng)
    frames = MORE_FRAMES[kind] if kind in MORE_FRAMES and rng.random() < 0.45 else FRAMES[kind]
    return roughen(fill(rng.choice(frames), said), rng)


def held_questions(fact: Fact) -> list[tuple[str, str]]:
    """(how it was held out, question): each held-out wording in a frame of training and in one of none, and a
    wording of training in a frame of none. Frames are chosen by the fact's key."""
    rng = random.Random(f"held/{fact.key}")
    found: list[tuple[str, str]] = []
    for kind in FRAMES:
        train, held = split_wordings_cached(fact, kind)
        for wording in held:
            found.append(("wording", fill(rng.choice(FRAMES[kind]), spoken(wording, rng))))
            if len(FRAMES[kind]) > 1:
                found.append(("both", fill(rng.choice(HELD_FRAMES[kind]), spoken(wording, rng))))
        if train and len(FRAMES[kind]) > 1:
            found.append(("frame", fill(rng.choice(HELD_FRAMES[kind]), spoken(rng.choice(train), rng))))
    return found


@cache
def all_spoken_cached(wording: str) -> set[str]:
    return all_spoken(wording)


_splits: dict[tuple[str, str], tuple[list[str], list[str]]] = {}


def split_wordings_cached(fact: Fact, kind: str) -> tuple[list[str], list[str]]:
    """As split_wordings, less those of training that say nothing but what a held-out one does."""
    if (fact.key, kind) not in _splits:
        train, held = split_wordings(fact, kind)
        said = {text.lower() for wording in held for text in all_spoken(wording)}
        _splits[(fact.key, kind)] = ([w for w in train if not {text.lower() for text in all_spoken(w)} <= said], held)
    return _splits[(fact.key, kind)]


@cache
def _held(fact: Fact) -> tuple[set[str], re.Pattern[str]]:
    """In lower case all that is never in training; and what may not even be a part of what is: three words or more, or a
    Chinese question less its mark."""
    wordings = [wording for kind in FRAMES for wording in split_wordings_cached(fact, kind)[1]]
    held = {_plain(text) for wording in wordings for text in all_spoken(wording)}
    parts = [re.escape(text) if not text.isascii() else rf"\b{re.escape(text)}\b" for text in held
             if text.count(" ") >= 2 or not text.isascii()]
    return held, re.compile("|".join(parts) or "(?!)")


def says_held(fact: Fact, said: str) -> bool:
    said = _plain(said)
    held, parts = _held(fact)
    return said in held or parts.search(said) is not None


def _plain(text: str) -> str:
    return text.lower().rstrip("？。?.!")


def bare(text: str) -> str:
    """Without case and marks."""
    return re.sub(r"\W+", " ", text.lower()).strip()

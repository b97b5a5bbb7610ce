"""Questions: how a fact's wordings are put into sentences, with the sloppiness of people who type."""

import random
import re
from functools import cache

from facts import Fact, all_spoken, split_wordings, spoken

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
OPENINGS = ["Hi, ", "Hello, ", "Please tell me: ", "Question: ", "One more question: ", "Hey, ", "Sorry, ", "And ",
            "Now, ", "Tell me, ", "ok, ", "Good morning. ", "Quick question: "]
OPENINGS_ZH = ["请问", "你好，", "您好，", "我想知道，", "请问一下，", "那么，"]
#: Words that may stand for each other in what people ask.
SYNONYMS = [
    "picture image photo", "pictures images photos", "clip video film", "clips videos films", "chat conversation dialogue",
    "chats conversations dialogues", "sound noise", "answer reply response", "answers replies responses",
    "message text", "messages texts", "folder directory", "program app application", "machine computer PC",
    "start begin", "stop halt end", "make create produce", "change alter modify adjust", "delete remove erase",
    "find locate", "see view", "show display", "choose select pick", "choose select", "get obtain receive", "use employ", "save store",
    "large big huge", "larger bigger", "small little tiny", "smaller tinier", "fast quick", "faster quicker", "damaged broken corrupt",
    "error problem fault", "key shortcut hotkey", "setting option", "settings options preferences", "good fine suitable",
    "best right", "need require", "needs requires", "repair fix", "check test", "words phrases", "kind type sort", "kinds types sorts",
    "internet web", "private secret", "memory RAM", "GPU graphics-card", "explain describe", "possible allowed", "mean signify",
    "again anew", "write type", "talk speak chat", "copy duplicate", "export save", "import load", "add insert", "open load", "work function",
    "quickly fast", "own personal", "old earlier previous", "new fresh", "different other",
]
_like: dict[str, list[str]] = {}
for _group in SYNONYMS:
    for _word in _group.split():
        _like.setdefault(_word, []).extend(_group.split())
FILLERS = {"the", "a", "do", "i", "of", "to", "is", "in", "please", "my", "an"}


def fill(frame: str, wording: str) -> str:
    text = frame.replace("{x}", wording)
    return text[:1].upper() + text[1:]


def exchange(text: str, rng: random.Random) -> str:
    """Some words exchanged for others that are like them."""
    return re.sub(r"[A-Za-z]+", lambda found: rng.choice(_like[found[0]]) if found[0] in _like and rng.random() < 0.3 else found[0], text)


def roughen(text: str, rng: random.Random) -> str:
    """Now and then as people type: lower case, no mark at the end, a word left out, two letters swapped."""
    if rng.random() < 0.12:
        opening = rng.choice(OPENINGS)
        text = opening + (text[:1].lower() + text[1:] if not text[:2].isupper() else text)
    if rng.random() < 0.25:
        text = text.lower()
    if rng.random() < 0.2:
        text = text.rstrip("?.!")
    if rng.random() < 0.06:
        words = text.split(" ")
        kept = [word for word in words if word.lower() not in FILLERS]
        text = " ".join(kept) if len(kept) > 1 else text
    if rng.random() < 0.04 and len(text) > 8:
        at = rng.randrange(2, len(text) - 2)
        if text[at].isalpha() and text[at + 1].isalpha():
            text = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text


def roughen_zh(text: str, rng: random.Random) -> str:
    if rng.random() < 0.2:
        text = rng.choice(OPENINGS_ZH) + text
    if rng.random() < 0.2:
        text = text.rstrip("？。")
    if rng.random() < 0.1:
        text = text.replace("怎么", "如何").replace("什么是", "啥是")
    return text


def question(fact: Fact, rng: random.Random, kinds: tuple[str, ...] = ("what", "how", "error", "ask")) -> str | None:
    """A question of training for the fact; None where it has no wording of these kinds."""
    choices = [(kind, wording) for kind in kinds for wording in split_wordings_cached(fact, kind)[0]]
    if not choices:
        return None
    # What stands for many is likelier, but not by so much as to drown the rest.
    weights = [len(all_spoken_cached(wording)) ** 0.5 for _, wording in choices]
    while True:
        kind, wording = rng.choices(choices, weights)[0]
        said = spoken(wording, rng)
        if kind != "zh" and rng.random() < 0.4:
            said = exchange(said, rng)
        if said.lower() not in held_wordings(fact):
            break
    text = fill(rng.choice(FRAMES[kind]), said)
    return roughen_zh(text, rng) if kind == "zh" else roughen(text, rng)


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


_held: dict[str, set[str]] = {}


def held_wordings(fact: Fact) -> set[str]:
    """In lower case all that is never in training."""
    if fact.key not in _held:
        held = [wording for kind in FRAMES for wording in split_wordings_cached(fact, kind)[1]]
        _held[fact.key] = {text.lower() for wording in held for text in all_spoken(wording)}
    return _held[fact.key]

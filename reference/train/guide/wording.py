"""Questions: how a fact's wordings are put into sentences, with the sloppiness of people who type."""

import random

from facts import Fact, split_wordings

FRAMES = {
    "what": [
        "What is {x}?", "What does {x} do?", "What does {x} mean?", "Explain {x}.", "Can you explain {x}?",
        "Tell me about {x}.", "What is {x} for?", "I do not understand {x}.", "Help me understand {x}.", "{x}?", "{x}",
        "Describe {x}.", "What is the use of {x}?", "Please explain {x} to me.", "I have a question about {x}.",
        "What should I know about {x}?", "What about {x}?", "what's {x}", "How does {x} work?", "Why is there {x}?",
        "Do you know {x}?", "Tell me more about {x}.", "What can you tell me about {x}?", "What do you know about {x}?",
    ],
    "how": [
        "How do I {x}?", "How can I {x}?", "How to {x}?", "How would I {x}?", "I want to {x}.", "I would like to {x}.",
        "Is it possible to {x}?", "Is there a way to {x}?", "Where can I {x}?", "Can I {x}?", "Please help me {x}.",
        "Help me {x}.", "I need to {x}.", "Tell me how to {x}.", "Show me how to {x}.", "{x}", "Where do I {x}?",
        "I am trying to {x}.", "What do I do to {x}?", "Could you tell me how to {x}?", "how could one {x}",
        "I don't know how to {x}.", "Can you help me to {x}?", "How should I {x}?",
    ],
    "error": [
        "It says {x}.", "I see the message {x}.", "I get an error: {x}.", "Why do I get {x}?",
        "What does the error {x} mean?", "{x}", "What can I do about {x}?", "Lutra shows {x}.", "Help, {x}!",
        "What should I do when it says {x}?", "I got {x}, what now?", "How do I fix {x}?", "Error: {x}",
        'It says "{x}".', "What does {x} mean?", "The error is {x}.",
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
FILLERS = {"the", "a", "do", "i", "of", "to", "is", "in", "please", "my", "an"}


def fill(frame: str, wording: str) -> str:
    text = frame.replace("{x}", wording)
    return text[:1].upper() + text[1:]


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
    """A question of training for the fact; None where it has no wording of these kinds. Each wording is as likely."""
    choices = [(kind, w) for kind in kinds for w in split_wordings_cached(fact, kind)[0]]
    if not choices:
        return None
    kind, wording = rng.choice(choices)
    text = fill(rng.choice(FRAMES[kind]), wording)
    return roughen_zh(text, rng) if kind == "zh" else roughen(text, rng)


def held_questions(fact: Fact) -> list[tuple[str, str]]:
    """(how it was held out, question): each held-out wording in a frame of training and in one of none, and a
    wording of training in a frame of none. Frames are chosen by the fact's key."""
    rng = random.Random(f"held/{fact.key}")
    found: list[tuple[str, str]] = []
    for kind in FRAMES:
        train, held = split_wordings_cached(fact, kind)
        for wording in held:
            found.append(("wording", fill(rng.choice(FRAMES[kind]), wording)))
            if len(FRAMES[kind]) > 1:
                found.append(("both", fill(rng.choice(HELD_FRAMES[kind]), wording)))
        if train and len(FRAMES[kind]) > 1:
            found.append(("frame", fill(rng.choice(HELD_FRAMES[kind]), rng.choice(train))))
    return found


_splits: dict[tuple[str, str], tuple[list[str], list[str]]] = {}


def split_wordings_cached(fact: Fact, kind: str) -> tuple[list[str], list[str]]:
    if (fact.key, kind) not in _splits:
        _splits[(fact.key, kind)] = split_wordings(fact, kind)
    return _splits[(fact.key, kind)]

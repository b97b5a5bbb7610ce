"""Questions as people type them: other words for the same, openings and endings, key words alone, slips of the hand."""

import random
import re

OPENINGS = ["Hi, ", "Hello, ", "Please tell me: ", "Question: ", "One more question: ", "Hey, ", "Sorry, ", "And ",
            "Now, ", "Tell me, ", "ok, ", "Good morning. ", "Quick question: ", "I am new here. ", "Hey guide, ", "Good evening, ",
            "Next: ", "Another thing: ", "So, ", "Well, ", "Excuse me, ", "Sorry to ask, but ", "Maybe you know: ", "Right. ",
            "I have looked everywhere. ", "Help please. ", "I'm stuck. ", "hmm, ", "Oh, ", "Wait, ", "Thanks. ", "One thing: ",
            "I just started. ", "My friend asks: ", "Stupid question: ", "Then ", "But ", "Also, ", "First of all, "]
ENDINGS = [" please", ", please", " Please.", " Thanks.", " Thank you!", " thx", " in Lutra?", " in this app?", " here?", " in this program",
           " now", " today", " I don't get it.", " Any idea?", " Can you tell me?", " I need to know.", " Is that possible?", " exactly?",
           " then?", " Please help.", " Help!", " I am lost.", " for me", " again?", " I forgot.", " quickly", " ??", "!!", "..."]
OPENINGS_ZH = ["请问", "你好，", "您好，", "我想知道，", "请问一下，", "那么，", "麻烦问一下，", "帮我看看，", "不好意思，", "我是新手，",
               "想问一下，", "那", "告诉我，", "还有，", "另外，", "老师，", "小助手，", "在Lutra里，", "这个软件里，"]
ENDINGS_ZH = ["谢谢", "，谢谢！", "呢？", "啊？", "呀？", "，急", "，帮帮我", "，我不懂", "，请告诉我", "，求助", "？？"]
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
    "quickly fast", "own personal", "old earlier previous", "new fresh", "different other", "movie film", "screen display",
    "laptop notebook computer", "drive disk", "colours colors", "colour color", "music tunes", "speed pace", "slow sluggish",
    "crashed died", "crashes dies", "window screen", "tell inform", "allow permit let", "happens occurs", "forbid prevent", "quit exit close",
    "download fetch get", "wrong incorrect false", "loud noisy", "quiet silent", "short brief", "long lengthy", "list overview",
]
#: Words that a question loses when only its key words are typed.
_EMPTY = {"the", "a", "an", "do", "does", "i", "of", "to", "is", "are", "in", "please", "my", "me", "it", "what", "how", "can", "for",
          "you", "about", "tell", "would", "could", "and", "on", "be", "with", "that", "this", "there", "was"}
_FILLERS = {"the", "a", "do", "i", "of", "to", "is", "in", "please", "my", "an"}
_like: dict[str, list[str]] = {}
for _group in SYNONYMS:
    for _word in _group.split():
        _like.setdefault(_word, []).extend(_group.split())
_DOUBLED = {"stop", "get", "set", "put", "cut", "run", "begin", "let", "swap", "plug", "scan", "zip", "log", "tag", "drop", "drag", "shut",
            "split", "skip", "trim", "plan", "chat", "star", "quit", "pin", "dim"}


def gerund(doing: str) -> str:
    """"export a chat" -> "exporting a chat"; of "look at it" only the first word changes."""
    verb, _, rest = doing.partition(" ")
    if verb in _DOUBLED:
        verb += verb[-1]
    elif verb.endswith("e") and not verb.endswith(("ee", "oe", "ye")) and verb != "be":
        verb = verb[:-1]
    return f"{verb}ing {rest}".strip()


def exchange(text: str, rng: random.Random) -> str:
    """Some words exchanged for others that are like them."""
    return re.sub(r"[A-Za-z]+", lambda found: rng.choice(_like[found[0]]) if found[0] in _like and rng.random() < 0.3 else found[0], text)


def key_words(text: str, rng: random.Random) -> str:
    """What is typed into a search field; in another order now and then."""
    kept = [word for word in re.sub(r"[?.!,]", "", text).split() if word.lower() not in _EMPTY]
    if len(kept) < 2:
        return text
    if rng.random() < 0.3:
        rng.shuffle(kept)
    return " ".join(kept)


def slip(text: str, rng: random.Random) -> str:
    """A letter swapped, left out, doubled or mistaken for another."""
    at = rng.randrange(1, len(text) - 2)
    if not (text[at].isalpha() and text[at + 1].isalpha()):
        return text
    kind = rng.randrange(4)
    middle = [text[at + 1] + text[at], text[at + 1], text[at] * 2 + text[at + 1], rng.choice("aeiourstnlm") + text[at + 1]][kind]
    return text[:at] + middle + text[at + 2 :]


def roughen(text: str, rng: random.Random) -> str:
    """Now and then as people type."""
    if rng.random() < 0.06:
        text = key_words(text, rng)
    if rng.random() < 0.07:
        text = text.rstrip("?.!") + rng.choice(ENDINGS)
    if rng.random() < 0.15:
        text = rng.choice(OPENINGS) + (text[:1].lower() + text[1:] if not text[:2].isupper() else text)
    draw = rng.random()
    if draw < 0.25:
        text = text.lower()
    elif draw < 0.27:
        text = text.upper()
    if rng.random() < 0.2:
        text = text.rstrip("?.!")
    if rng.random() < 0.06:
        words = text.split(" ")
        kept = [word for word in words if word.lower() not in _FILLERS]
        text = " ".join(kept) if len(kept) > 1 else text
    if rng.random() < 0.08:
        words = text.split(" ")
        if len(words) > 4:
            del words[rng.randrange(len(words))]
            text = " ".join(words)
    while rng.random() < 0.08 and len(text) > 8:
        text = slip(text, rng)
    return text


def roughen_zh(text: str, rng: random.Random) -> str:
    if rng.random() < 0.2:
        text = rng.choice(OPENINGS_ZH) + text
    if rng.random() < 0.2:
        text = text.rstrip("？。")
    if rng.random() < 0.08:
        text = text.rstrip("？。") + rng.choice(ENDINGS_ZH)
    if rng.random() < 0.25:
        old, new = rng.choice([("怎么", "如何"), ("怎么", "怎样"), ("什么是", "啥是"), ("什么", "啥"), ("怎么办", "咋办"), ("吗", "么"), ("能", "可以"),
                               ("在哪里", "在哪儿"), ("哪里", "哪"), ("如何", "怎么"), ("为什么", "为何"), ("可以", "能"), ("有哪些", "有什么"), ("的", "")])
        text = text.replace(old, new)
    if rng.random() < 0.06 and len(text) > 5:
        at = rng.randrange(len(text))
        text = text[:at] + text[at + 1 :]
    return text

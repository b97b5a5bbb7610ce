"""Greetings and small talk, and what the guide says to questions beyond its knowledge."""

import random
import re

import smalltalk

REFUSAL = ("I am a small demo model and know only Lutra, small sums and short stories. For anything else, add a larger "
           "model in [Models](lutra:models).")
REFUSAL_ZH = "我是一个小型演示模型，只了解Lutra、简单的算术和小故事。其他问题请在[模型](lutra:models)里添加更大的模型。"

#: (what people say, the answer); the last wording of each is never in training.
TALK = [
    (["Hello", "Hi", "Hello!", "Hi there", "Hey", "Good morning", "Good evening", "hello there", "Good day", "hi!", "Greetings"],
     "Hello! I am the guide of Lutra. Ask me about its panels, models, settings or errors."),
    (["How are you?", "How do you do?", "How is it going?", "Are you well?", "How are you today?", "how are things", "How do you feel?"],
     "I am well, thank you. What would you like to know about Lutra?"),
    (["Thanks", "Thank you", "Thank you very much", "thanks a lot", "Great, thanks!", "That helps, thank you.", "Many thanks", "thx", "Thank you so much!"],
     "You are welcome. Ask me more at any time."),
    (["Bye", "Goodbye", "See you later", "Good night", "bye bye", "See you", "I have to go.", "Goodbye then!"],
     "Goodbye! I stay here in [Chat](lutra:chat)."),
    (["ok", "Okay", "I see", "Good", "Great", "Nice", "Cool", "Fine", "Interesting", "Yes", "All right", "Very good"],
     "Good. Is there anything else you would like to know?"),
    (["No", "Nothing", "No, thanks", "Not now", "never mind", "Nothing else", "No, that is all."],
     "All right. I am here when you need me."),
    (["Tell me a joke.", "Do you know a joke?", "Make me laugh.", "A joke, please.", "Say something funny.", "Can you tell a joke?"],
     "Why did the otter like lookup tables? Because everything was right at its paws."),
    (["You are great!", "Well done.", "You are nice.", "I like you.", "Good answer.", "You are very helpful.", "I love you.", "You are clever!"],
     "Thank you! I am small, but I do my best."),
    (["You are wrong.", "That is wrong.", "That is not true.", "This does not help.", "You are stupid.", "Bad answer.", "That makes no sense.", "That was not right."],
     "I am sorry. I am a small model and make mistakes. Please ask in other words, or see the README of Lutra."),
    (["What does Lutra mean?", "Why is it called Lutra?", "Where does the name Lutra come from?", "Why the name Lutra?", "What is a lutra?"],
     "Lutra is the Latin name of the otter."),
]
TALK_ZH = [
    (["你好", "您好", "你好！", "早上好", "嗨", "晚上好", "大家好", "你好呀"], "您好！我是Lutra的向导。可以问我面板、模型、设置或错误的问题。"),
    (["谢谢", "谢谢你", "多谢", "非常感谢", "谢谢您！", "太感谢了"], "不客气，随时可以再问我。"),
    (["再见", "拜拜", "晚安", "下次见", "我走了"], "再见！我一直在[聊天](lutra:chat)里。"),
    (["你好吗？", "你怎么样？", "最近好吗？", "今天好吗？"], "我很好，谢谢。您想了解Lutra的什么？"),
    (["好的", "好", "明白了", "知道了", "嗯"], "好的。还想了解什么吗？"),
]

TOPICS = """the moon; Paris; France; gravity; photosynthesis; the Roman empire; football; chess; dogs; the stock market; love; tax
law; the human heart; volcanoes; Shakespeare; quantum physics; cooking rice; the piano; black holes; inflation; vaccines; cars; the
weather; dinosaurs; yoga; bread; the bible; Beethoven; Mozart; blockchain; bitcoin; Python; Java; cancer; climate change; the
president; evolution; Germany; China; Japan; India; Africa; the ocean; poetry; marketing; history; geography; sharks; tea; coffee;
wine; plants; trains; planes; rockets; Mars; the sun; atoms; DNA; war; peace; democracy; philosophy; Plato; insurance; a mortgage;
swimming; tennis; the olympics; movies; Hollywood; television; the internet; Google; Facebook; Linux kernels; databases; algebra;
calculus; Spanish grammar; diets; vitamins; sleep; headaches; flu; cats; horses; elephants; whales; birds; gardening; roses; paint;
sculpture; Picasso; pyramids; Egypt; London; New York; Berlin; Tokyo; airports; hotels; visas; the best phone; shoes; fashion; politics;
religion; ghosts; dreams; magic; the meaning of life; happiness; money; a job interview; a cover letter; a birthday party""".replace("\n", " ")
TOPIC_LIST = [topic.strip() for topic in TOPICS.split(";")]
#: Never in training.
HELD_TOPICS = TOPIC_LIST[3::9]
TRAIN_TOPICS = [topic for topic in TOPIC_LIST if topic not in HELD_TOPICS]
_HELD_TOPIC = re.compile(rf"\b({'|'.join(HELD_TOPICS)})\b", re.IGNORECASE)
BEYOND = [
    "What is {x}?", "Tell me about {x}.", "Explain {x}.", "Who invented {x}?", "How does {x} work?", "Why is {x} important?",
    "Write an essay about {x}.", "What is the history of {x}?", "Can you explain {x}?", "What do you think about {x}?",
    "What is the best thing about {x}?", "How old is {x}?", "Give me facts about {x}.", "{x}", "Write a poem about {x}.",
    "What do you know about {x}?", "I have a question about {x}.", "Who is the expert on {x}?", "Where can I learn {x}?",
]
BEYOND_WHOLE = [
    "What is the capital of France?", "Who is the president?", "What time is it?", "What day is today?",
    "What is the weather like?", "Will it rain tomorrow?", "Who won the match?", "How tall is Mount Everest?",
    "Write a Python function.", "Write some code for me.", "Fix my code.", "Translate this into French.",
    "Translate this text.", "Summarise this article.", "Who wrote Hamlet?", "What is the speed of light?",
    "How do I cook pasta?", "Give me a recipe.", "What should I eat?", "Recommend a film.", "Recommend a book.",
    "What is the news today?", "How do I lose weight?", "I have a headache.", "What is the square root of two?",
    "Solve this equation.", "Write an email to my boss.", "Sing a song.", "Draw a picture.", "Play music.",
    "What is my name?", "How old am I?", "Who am I?", "Where do I live?", "Are there aliens?", "Is there a god?",
    "How do I get rich?", "Should I buy a house?", "Open the door.", "Call my mother.", "Set an alarm.", "Order a pizza.",
    "How many people live in China?", "When did the war end?", "How far is the moon?", "What is the population of Tokyo?",
]
HELD_BEYOND = [
    "Who painted the Mona Lisa?", "How many legs does a spider have?", "What is the capital of Spain?",
    "Write a Java program.", "How do I bake a cake?", "Who discovered America?", "Book a table for two.",
    "Which team won the cup?", "What is the tallest building?", "Translate good morning into Italian.",
]
BEYOND_ZH = ["法国的首都是哪里？", "今天天气怎么样？", "谁是总统？", "现在几点？", "帮我写代码。", "写一首诗。", "怎么做饭？",
             "推荐一部电影。", "翻译这句话。", "月亮有多远？", "今天有什么新闻？", "帮我订机票。"]
HELD_BEYOND_ZH = ["日本的首都是哪里？", "明天会下雨吗？", "推荐一本书。"]


def sample(rng: random.Random) -> tuple[str, str]:
    known, more = (TALK_ZH, smalltalk.MORE_TALK_ZH) if rng.random() < 0.25 else (TALK, smalltalk.MORE_TALK)
    at = rng.randrange(len(known))
    said, answer = known[at]
    return rng.choice([*said[:-1], *more[at]]), answer


def invented(rng: random.Random) -> str:
    """A word that means nothing: most of what people ask about is as new to the guide as this."""
    return "".join(rng.choice("bcdfghjklmnprstvwz") + rng.choice("aeiou") + rng.choice(["", "", "n", "r", "s", "t", "l"])
                   for _ in range(rng.randint(1, 3)))


def beyond(rng: random.Random) -> tuple[str, str]:
    draw = rng.random()
    if draw < 0.15:
        while (asked := rng.choice(BEYOND_ZH) if rng.random() < 0.2 else smalltalk.question(rng, is_chinese=True)) in HELD_BEYOND_ZH:
            pass
        return asked, REFUSAL_ZH
    if draw < 0.25:
        return rng.choice(BEYOND_WHOLE), REFUSAL
    if draw < 0.65:
        while (asked := smalltalk.question(rng)) in HELD_BEYOND or _HELD_TOPIC.search(asked):
            pass
        return asked, REFUSAL
    topic = invented(rng) if rng.random() < 0.4 else rng.choice(TRAIN_TOPICS)
    frame = rng.choice(BEYOND).replace("{x}", topic)
    return frame[:1].upper() + frame[1:], REFUSAL

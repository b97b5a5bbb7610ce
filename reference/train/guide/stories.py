"""Short stories in a plain style: somebody wants something, something is in the way, a helper, an end."""

import random

HEROES = ["a fox", "a cat", "a boy", "a girl", "an otter", "a bear", "a robot", "a mouse", "an old man", "a dog", "a bird",
          "a baker", "a rabbit", "a frog", "a king", "a sailor", "a hen", "a snail", "a horse", "an owl"]
NAMES = ["Mia", "Tom", "Lu", "Ben", "Ana", "Pip", "Nora", "Max", "Lin", "Sam", "Ida", "Leo"]
PLACES = ["by a river", "in a quiet town", "in a small house", "near the sea", "in a forest", "on a hill", "under a bridge",
          "at the end of the road"]
WISHES = ["a warm coat", "a boat", "a red kite", "a friend", "a new song", "a loaf of bread", "a lamp", "a flower", "a bell",
          "a round stone"]
OBSTACLES = ["it began to rain", "the path was too long", "the wind was strong", "it grew dark", "the door was locked",
             "there was snow everywhere", "the bridge was broken"]
HELPERS = ["a duck", "a neighbour", "a tall woman", "a small child", "a bee", "a deer", "a postman", "a turtle"]
HELPS = ["showed a shorter way", "held up a light", "knew a good plan", "shared a big umbrella", "waited and sang",
         "pushed as hard as it could be done"]
ENDS = ["They had soup together and laughed.", "They slept well that night.", "From that day on they were friends.",
        "It was the best day of the year.", "Then they went home, slowly and happily."]
REQUESTS = ["Tell me a story.", "Tell me a short story.", "Write a story.", "A story, please.", "Can you tell me a story?",
            "I would like to hear a story.", "Make up a story.", "Write me a short story.", "Do you know a story?",
            "Tell me a tale.", "story", "I am bored, tell me something."]
REQUESTS_ABOUT = ["Tell me a story about {hero}.", "Write a story about {hero}.", "A story about {hero}, please.",
                  "Can you tell me a story about {hero}?", "Make up a short story about {hero}.", "story about {hero}"]
HELD_REQUESTS = ["May I hear a little story?", "Would you write a small tale for me?", "Please invent a story.",
                 "I want a bedtime story."]
HELD_REQUESTS_ABOUT = ["I want a tale about {hero}.", "Could you invent a story about {hero}?"]
MORE = ["Another one.", "Another story, please.", "Tell me another.", "One more story.", "And another?"]
STORY_ZH = ["讲个故事。", "给我讲个故事吧。", "你会讲故事吗？", "说个小故事。", "再讲一个故事。"]
HEROES_ZH = ["一只狐狸", "一只水獭", "一个小女孩", "一只小猫", "一个老人", "一只小鸟"]
WISHES_ZH = ["一盏灯", "一只风筝", "一个朋友", "一朵花"]
PLACES_ZH = ["河边", "山上", "海边", "小镇里"]


def story(rng: random.Random, hero: str | None = None) -> str:
    hero = hero or rng.choice(HEROES)
    name, helper = rng.choice(NAMES), rng.choice(HELPERS)
    return (
        f"Once there was {hero} called {name} who lived {rng.choice(PLACES)}. {name} wished for {rng.choice(WISHES)}, "
        f"and one morning {name} went out to find it. But {rng.choice(OBSTACLES)}. Then {name} met {helper}, who "
        f"{rng.choice(HELPS)}. {rng.choice(ENDS)}"
    )


def story_zh(rng: random.Random) -> str:
    return (
        f"从前，{rng.choice(PLACES_ZH)}住着{rng.choice(HEROES_ZH)}，很想要{rng.choice(WISHES_ZH)}。"
        f"一天早上出门去找，路上下起了雨。后来遇到一位邻居，帮忙找到了。大家高高兴兴地回家了。"
    )


def sample(rng: random.Random) -> tuple[str, str]:
    if rng.random() < 0.12:
        return rng.choice(STORY_ZH), story_zh(rng)
    if rng.random() < 0.5:
        hero = rng.choice(HEROES)
        return rng.choice(REQUESTS_ABOUT).format(hero=hero), story(rng, hero)
    return rng.choice(REQUESTS), story(rng)

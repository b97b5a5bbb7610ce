"""Sums, differences and products that the guide works out digit by digit, and those that it declines."""

import hashlib
import random

TOO_LARGE = "That is too large for me: I add and subtract numbers below 100, and multiply single digits."
TOO_LARGE_ZH = "这对我来说太大了：我只会100以内的加减法和一位数的乘法。"
FRAMES = {
    "+": ["{a} + {b}", "What is {a} + {b}?", "{a}+{b}", "{a} + {b} = ?", "How much is {a} + {b}?", "{a} plus {b}",
          "What is {a} plus {b}?", "Add {a} and {b}.", "What do {a} and {b} make?", "Calculate {a} + {b}.", "{a}+{b}=",
          "What is the sum of {a} and {b}?", "{a}加{b}等于多少？", "{a}+{b}等于几？", "Can you add {a} and {b}?",
          "And {a} + {b}?"],
    "-": ["{a} - {b}", "What is {a} - {b}?", "{a}-{b}", "{a} - {b} = ?", "How much is {a} - {b}?", "{a} minus {b}",
          "What is {a} minus {b}?", "Calculate {a} - {b}.", "{a}-{b}=", "{a}减{b}等于多少？", "{a}-{b}等于几？",
          "And {a} - {b}?", "How much is {a} minus {b}?"],
    "*": ["{a} * {b}", "What is {a} times {b}?", "{a} times {b}", "{a}*{b}", "{a} × {b}", "What is {a} * {b}?",
          "{a}乘{b}等于多少？", "How much is {a} times {b}?"],
}
#: Further ones of training, which the figures never use.
MORE_FRAMES = {
    "+": ["{a} and {b} together?", "What does {a} + {b} equal?", "Tell me {a} + {b}.", "{a} + {b}?", "sum of {a} and {b}", "Work out {a} + {b}.",
          "I need {a} plus {b}.", "How much do {a} and {b} make?", "{a} 加 {b}", "请算{a}+{b}。", "Please add {b} to {a}.", "what's {a}+{b}",
          "Do you know {a} + {b}?", "The result of {a} + {b}?", "Solve {a} + {b}.", "{a} plus {b} is?", "add {a} to {b}"],
    "-": ["What does {a} - {b} equal?", "Tell me {a} - {b}.", "{a} - {b}?", "difference of {a} and {b}", "Work out {a} - {b}.", "I need {a} minus {b}.",
          "{a} take away {b}", "{a} 减 {b}", "请算{a}-{b}。", "Subtract {b} from {a}.", "what's {a}-{b}", "Do you know {a} - {b}?",
          "The result of {a} - {b}?", "Solve {a} - {b}.", "{a} minus {b} is?", "{a} less {b}?", "Take {b} from {a}."],
    "*": ["Tell me {a} times {b}.", "{a} x {b}", "Multiply {a} by {b}.", "product of {a} and {b}", "{a} 乘以 {b}", "what's {a}*{b}", "{a} * {b} = ?"],
}
HELD_FRAMES = {
    "+": ["Could you work out {a} + {b}?", "Please compute {a} plus {b}."],
    "-": ["Could you work out {a} - {b}?", "Please compute {a} minus {b}."],
    "*": ["Could you work out {a} * {b}?", "Please compute {a} times {b}."],
}


def is_held(a: int, b: int, operation: str) -> bool:
    """One in five pairs is never in training; a product of single digits always is."""
    return operation != "*" and hashlib.sha256(f"{a}{operation}{b}".encode()).digest()[0] < 51


def work(a: int, b: int, operation: str) -> str:
    """The answer: the sum said again, then the ones, the tens, and the result. Each step needs only what is near it."""
    if operation == "*":
        return f"{a} × {b} = {a * b}."
    if a < 10 and b < 10:
        return f"{a} {operation} {b} = {a + b if operation == '+' else a - b}."
    if operation == "-" and a < b:
        return f"{a} - {b} = -({b} - {a}): {_columns(b, a, '-')}, {a - b}."
    return f"{a} {operation} {b}: {_columns(a, b, operation)}, {a + b if operation == '+' else a - b}."


def _columns(a: int, b: int, operation: str) -> str:
    """Ones and tens of a + b, or of a - b where a >= b."""
    (tens_a, ones_a), (tens_b, ones_b) = divmod(a, 10), divmod(b, 10)
    if operation == "+":
        carry = (ones_a + ones_b) // 10
        tens = f"{tens_a} + {tens_b}" + (" + 1" if carry else "")
        return f"{ones_a} + {ones_b} = {ones_a + ones_b}, {tens} = {tens_a + tens_b + carry}"
    borrow = int(ones_a < ones_b)
    ones = 10 * borrow + ones_a
    tens = f"{tens_a} - {tens_b}" + (" - 1" if borrow else "")
    return f"{ones} - {ones_b} = {ones - ones_b}, {tens} = {tens_a - tens_b - borrow}"


def numbers(rng: random.Random, operation: str) -> tuple[int, int]:
    if operation == "*":
        return rng.randrange(10), rng.randrange(10)
    widths = rng.choices([(100, 100), (100, 10), (10, 100), (10, 10)], [6, 2, 1, 2])[0]
    return rng.randrange(widths[0]), rng.randrange(widths[1])


def sample(rng: random.Random) -> tuple[str, str]:
    """A question of training and its answer."""
    if rng.random() < 0.06:
        operation = rng.choice(["+", "-", "*"])
        a = rng.randrange(100, 100_000) if operation != "*" else rng.randrange(11, 1000)
        question = _frame(rng, operation).format(a=a, b=rng.randrange(11, 1000))
        return question, TOO_LARGE_ZH if any("一" <= c <= "鿿" for c in question) else TOO_LARGE
    operation = rng.choices(["+", "-", "*"], [5, 4, 1])[0]
    while True:
        a, b = numbers(rng, operation)
        if operation == "-" and a < b and rng.random() < 0.3:
            a, b = b, a
        if not is_held(a, b, operation):
            return _frame(rng, operation).format(a=a, b=b), work(a, b, operation)


def _frame(rng: random.Random, operation: str) -> str:
    return rng.choice((FRAMES if rng.random() < 0.5 else MORE_FRAMES)[operation])


def held(count: int, seed: int) -> list[tuple[str, str]]:
    """(question, result) of pairs that training never had; one in three in a frame that it never had."""
    rng = random.Random(seed)
    found: list[tuple[str, str]] = []
    while len(found) < count:
        operation = rng.choice(["+", "-"])
        a, b = numbers(rng, operation)
        if not is_held(a, b, operation):
            continue
        frames = HELD_FRAMES if rng.random() < 1 / 3 else FRAMES
        found.append((rng.choice(frames[operation]).format(a=a, b=b), str(a + b if operation == "+" else a - b)))
    return found

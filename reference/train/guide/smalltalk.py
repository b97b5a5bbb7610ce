"""Further wordings of small talk, and a grammar of questions that nobody can expect a guide to answer; for training only."""

import random

#: For each answer of talk.TALK, in its order.
MORE_TALK = [
    ["Hey there", "Hi guide", "Hello Lutra", "Hello, guide!", "Good afternoon", "hiya", "Howdy", "yo", "Hello again", "Hi!", "hey you", "Morning!",
     "Hi, nice to meet you.", "Hello, how do you do", "Pleased to meet you.", "Welcome!", "Nice to see you.", "Hello everybody", "Salutations",
     "Is anybody there?", "Are you there?", "Hello?", "hi guys", "G'day", "Good to see you", "Warm greetings to you", "hullo", "helo", "hallo"],
    ["How are things?", "How's it going?", "how r u", "How are you doing?", "You okay?", "Are you fine?", "What's up?", "How have you been?",
     "Everything all right?", "how is life", "Is all well with you?", "How is your day?", "Are you happy?", "Did you sleep well?", "Feeling good?",
     "sup", "How goes it?", "Are you feeling well?", "What mood are you in?", "How are you feeling now?", "Are you OK?", "And how are you?",
     "How do you find yourself today?", "Is everything fine?"],
    ["Thank you, that was it.", "ty", "Thanks, guide.", "Thank you for your help.", "That was helpful.", "Perfect, thank you.", "Cheers", "I thank you.",
     "Very kind of you.", "Thanks so much", "thank u", "A thousand thanks", "I am grateful.", "Much appreciated.", "thanks!", "Thank you kindly.",
     "Wonderful, thanks.", "That solved it, thanks.", "Thank you, dear guide.", "Big thanks", "You helped me a lot.", "Thank you ever so much.",
     "Thanks a million", "Appreciate it"],
    ["Ciao", "Farewell", "See you soon", "See you tomorrow", "cya", "I am off.", "I must go now.", "Until next time", "Take care", "Have a nice day.",
     "Good bye", "bye!", "So long", "Talk to you later", "I'm leaving.", "Time to go.", "Good night, guide", "Bye for now", "I will be back.",
     "That was all, bye.", "goodbye guide", "later", "Bye then", "I have to leave now.", "Till tomorrow"],
    ["alright", "Right", "Got it.", "Understood.", "I understand.", "Excellent", "Super", "Sure", "yes please", "Aha", "That is good.", "Fine with me.",
     "Sounds good.", "okay then", "Lovely", "Good to know.", "Perfect", "Yeah", "yep", "Wow", "Amazing", "I get it.", "k", "hm ok", "That is interesting.",
     "Good, good", "Nice one", "Very nice", "Very interesting", "Quite good", "Really good", "Not bad", "Awesome", "Brilliant"],
    ["Nope", "no thank you", "Nothing more", "No more questions.", "I am done.", "That's all.", "That was everything.", "Not really", "nah", "Forget it.",
     "Leave it.", "Not today", "It's fine, no.", "I need nothing.", "No, nothing else.", "I have no more questions.", "Nothing for now", "no no",
     "No, I am fine.", "No, I have everything.", "That would be all.", "I don't need anything."],
    ["Joke!", "Tell us a joke.", "Got any jokes?", "I want to laugh.", "Be funny.", "Another joke, please.", "Tell me something funny.", "joke please",
     "Do you have humour?", "Cheer me up.", "I would like to hear a joke.", "Know any good jokes?", "Say a joke.", "Give me a joke.", "Amuse me.",
     "Are you funny?", "A funny line, please.", "Could I hear a joke?", "Make a joke.", "Entertain me.", "Can you be funny?"],
    ["You are awesome.", "You are smart.", "Good job!", "Great work.", "You rock.", "I am impressed.", "That was a good answer.", "You are sweet.",
     "You are my friend.", "You are the best.", "good bot", "Bravo!", "You did well.", "You're wonderful.", "What a good answer.", "You are amazing.",
     "You are funny.", "I really like you.", "You are so kind.", "Nicely done.", "You are intelligent!", "How clever of you!", "You know a lot.",
     "You are brilliant.", "Excellent answer."],
    ["Wrong!", "This is wrong.", "No, that is false.", "You are mistaken.", "That's not what I asked.", "You are useless.", "I do not believe you.",
     "That is nonsense.", "Your answer is wrong.", "You did not understand me.", "That is not correct.", "bad bot", "This is rubbish.", "You lie.",
     "You are dumb.", "Incorrect.", "I asked something else.", "That did not help me.", "What a bad answer.", "You got it wrong.", "You made a mistake.",
     "This answer is incorrect.", "That is not the answer.", "I meant something else.", "That can't be right.", "This was wrong."],
    ["Why Lutra?", "What's the meaning of Lutra?", "Is Lutra a word?", "What language is Lutra?", "Explain the name Lutra.", "What is behind the name?",
     "Where is the name from?", "Why did they call it Lutra?", "Is Lutra Latin?", "Is Lutra an animal?", "Lutra means what?", "origin of the name Lutra",
     "Why is the studio named Lutra?", "Who gave it that name?", "Has Lutra to do with otters?", "Why is there an otter?", "What animal is a Lutra?",
     "Why is there an otter in the logo?", "What does the word Lutra mean?", "Which animal is lutra?"],
]
#: For each answer of talk.TALK_ZH.
MORE_TALK_ZH = [
    ["哈喽", "下午好", "你好，向导", "早安", "您好！", "嗨，你好", "喂", "你好啊", "hello，你好", "很高兴见到你", "初次见面", "在吗？", "有人吗？", "早", "各位好", "你们好"],
    ["感谢", "谢了", "谢谢您的帮助", "谢谢你的回答", "辛苦了", "帮了大忙，谢谢", "感激不尽", "太谢谢你了", "真是谢谢", "好的，谢谢", "十分感谢", "多谢你", "非常谢谢"],
    ["回头见", "明天见", "我要走了", "再会", "再见！", "先走了", "下次再聊", "拜", "我先下了", "该走了", "我得走了", "改天见", "我下线了"],
    ["你还好吗？", "你好不好？", "近来如何？", "过得怎么样？", "一切都好吗？", "心情怎么样？", "你最近怎么样？", "今天怎么样？", "今天过得好吗？", "你开心吗？", "身体好吗？"],
    ["行", "可以", "懂了", "了解", "原来如此", "好吧", "不错", "很好", "没问题", "收到", "OK，好的", "嗯嗯", "对", "是的", "哦", "好的好的", "我明白了"],
]
PLACES = """Italy; Brazil; Canada; Russia; Egypt; Norway; Peru; Kenya; Australia; Mexico; Poland; Greece; Turkey; Sweden; Cuba; Chile; Rome;
Vienna; Madrid; Moscow; Sydney; Cairo; Boston; Chicago; Lisbon; Prague; Hamburg; Beijing; Shanghai; Seoul; Portugal; Ireland; Iceland;
Vietnam; Thailand; Nepal; Argentina; Hungary; Denmark; Finland""".replace("\n", " ").split("; ")
BEINGS = """lion; tiger; cow; penguin; dolphin; snake; bee; ant; butterfly; giraffe; bear; wolf; rabbit; chicken; frog; turtle; horse; crab; octopus;
camel; kangaroo; mouse; bat; owl; eagle; salmon; shrimp; worm; snail; pig; goat; sheep; donkey; monkey; parrot""".replace("\n", " ").split("; ")
THINGS = """pancakes; soup; a pizza; an omelette; a salad; a sandwich; apple pie; cookies; a kite; a table; a house; a garden; a fire; a shirt; a paper
plane; a tent; a robot; a website; a bicycle; a boat; a chair; jam; cheese; pasta; sushi; a birthday present; a snowman; soap; a lamp; ice
cream; a fence; a guitar; a poster; a curry; noodles; a mobile game; a spaceship; a statue""".replace("\n", " ").split("; ")
WORKS = """the Odyssey; Faust; the Ninth Symphony; Star Wars; Harry Potter; Don Quixote; Guernica; Starry Night; the Iliad; Moby Dick; the Eiffel Tower;
Pride and Prejudice; the Magic Flute; the Sistine Chapel; Imagine; Yesterday; Dracula; Frankenstein; the Bible; the telephone; penicillin; the light
bulb; the radio; the steam engine; gravity; radium; the printing press; the airplane; dynamite; Australia; the North Pole; Troy""".replace("\n", " ").split("; ")
TONGUES = "French; Spanish; German; Latin; Russian; Greek; Japanese; Arabic; Dutch; Polish; Turkish; Korean; Hindi; Swedish; Portuguese; Danish".split("; ")
CODES = "C; C++; Rust; JavaScript; SQL; HTML; Go; Ruby; Kotlin; Swift; a shell; PHP; Haskell; TypeScript; Lua; Perl; an R; a Python".split("; ")
PHRASES = "good night; I love you; thank you; where is the station; hello; the cat sleeps; this sentence; my letter; happy birthday; yes and no; a beer please".split("; ")
NOUNS = """river; mountain; city; lake; desert; island; bridge; animal; planet; star; country; tree; ship; train; dog; bird; fish; word; river in Africa; tower;
church; library; stadium; mountain in Europe; road; waterfall; volcano; insect""".replace("\n", " ").split("; ")
MOST = ["largest", "longest", "highest", "oldest", "smallest", "deepest", "fastest", "heaviest", "biggest", "most famous", "most beautiful", "shortest"]
PEOPLE = """the queen; the pope; Einstein; Newton; Napoleon; Caesar; Cleopatra; Mozart; Darwin; Gandhi; Lincoln; the king of Sweden; my neighbour; my boss;
Marie Curie; Columbus; Homer; Confucius; the mayor; Elvis; Bach; Goethe; the chancellor""".replace("\n", " ").split("; ")
GAMES = "the final; the world cup; the race; the election; the game yesterday; the Nobel prize; the tour; the derby; the championship; the medal; the league".split("; ")
PARTS = "legs; eyes; wings; teeth; hearts; arms; bones; stomachs; ears; feet; babies; brains".split("; ")
WANTS = """a taxi; a flight to Rome; a hotel room; a doctor; two tickets; a table at seven; a haircut; a train ticket; a parcel; new shoes; a plumber; flowers for
my wife; a meeting for tomorrow; a room for three nights; a seat; lunch; a bus""".replace("\n", " ").split("; ")
FEELINGS = ["sad", "tired", "lonely", "in love", "angry", "hungry", "ill", "afraid", "bored at work", "worried", "broke", "unhappy", "pregnant", "drunk", "old"]
FRAMES = [
    "What is the capital of {place}?", "capital of {place}", "Where is {place}?", "How many people live in {place}?", "What language do they speak in {place}?",
    "Is {place} worth a visit?", "Plan a trip to {place}.", "How big is {place}?", "What is the weather in {place}?", "Who rules {place}?", "Is it cold in {place}?",
    "What do {being}s eat?", "How long does a {being} live?", "How many {part} does a {being} have?", "How many {part} has a {being}?", "Can a {being} swim?",
    "Is a {being} dangerous?", "Where do {being}s live?", "Draw me a {being}.", "What sound does a {being} make?", "How heavy is a {being}?", "Do {being}s sleep?",
    "How do I make {thing}?", "How can I build {thing}?", "Give me a recipe for {thing}.", "How do you cook {thing}?", "I want to make {thing}.",
    "What do I need for {thing}?", "How long does it take to make {thing}?", "Help me with {thing}.", "How is {thing} made?", "How do I repair {thing}?",
    "Who wrote {work}?", "Who made {work}?", "Who painted {work}?", "Who composed {work}?", "Who discovered {work}?", "Who invented {work}?", "When was {work} made?",
    "Who built {work}?", "Summarise {work}.", "What happens in {work}?", "Who found {work}?", "Tell me about {work}.",
    "Translate {phrase} into {tongue}.", "How do you say {phrase} in {tongue}?", "What is {phrase} in {tongue}?", "Can you speak {tongue}?", "Teach me {tongue}.",
    "Write a letter in {tongue}.", "Translate this into {tongue}.", "Say something in {tongue}.", "Put {phrase} into {tongue}.", "{phrase} in {tongue}, please",
    "Write {code} program.", "Write a program in {code}.", "Write some {code} code.", "How do I learn {code}?", "Write a function in {code} that sorts a list.",
    "Fix this {code} code.", "What is a loop in {code}?", "Explain this {code} script.", "Program a game in {code}.", "Debug my {code} program.",
    "What is the {most} {noun} in the world?", "Which is the {most} {noun}?", "How high is the {most} {noun}?", "Name the {most} {noun}.", "{most} {noun}",
    "Where is the {most} {noun}?", "What is the {most} {noun} of all?", "Which {noun} is the {most}?", "How old is the {most} {noun}?",
    "Who is {person}?", "How old is {person}?", "When was {person} born?", "When did {person} die?", "What did {person} say?", "Is {person} still alive?",
    "Write a speech for {person}.", "Where does {person} live?", "Who was {person}?", "Call {person}.", "Write to {person}.", "Who killed {person}?",
    "Who won {game}?", "Which team won {game}?", "When is {game}?", "What was the score of {game}?", "Who will win {game}?", "Who plays in {game}?",
    "Book {want}.", "Order {want}.", "I need {want}.", "Get me {want}.", "Please reserve {want}.", "Can you book {want}?", "Find me {want}.", "Where can I get {want}?",
    "I am {feeling}.", "What should I do when I am {feeling}?", "Why am I {feeling}?", "My friend is {feeling}.", "I feel {feeling} today.",
    "How many {noun}s are there in {place}?", "What is the {most} {noun} of {place}?", "Which {noun} flows through {place}?", "Did {person} visit {place}?",
    "Is there a {being} in {place}?", "Who was the first in {place}?", "What is the history of {place}?", "What is {place} famous for?", "Tell me about {place}.",
    "How far is it to {place}?", "What time is it in {place}?", "When was {place} founded?", "Which money do they use in {place}?", "What is a {being}?",
]
LISTS = {"place": PLACES, "being": BEINGS, "thing": THINGS, "work": WORKS, "tongue": TONGUES, "code": CODES, "phrase": PHRASES, "noun": NOUNS, "most": MOST,
         "person": PEOPLE, "game": GAMES, "part": PARTS, "want": WANTS, "feeling": FEELINGS}
PLACES_ZH = "中国 英国 德国 美国 韩国 意大利 西班牙 北京 上海 巴黎 伦敦 纽约 俄罗斯 埃及 印度 泰国 香港 广州 澳大利亚".split()
THINGS_ZH = "红烧肉 蛋糕 饺子 面条 咖啡 披萨 米饭 汤 鱼 沙拉 火锅 豆腐".split()
TOPICS_ZH = "历史 数学 物理 足球 篮球 电影 音乐 股票 爱情 天气 政治 健康 旅游 宇宙 恐龙 汽车 手机 猫 狗 减肥 考试 工作 哲学 化学 唐诗 游戏 房价 医学 太阳 地球".split()
FRAMES_ZH = ["{place}的首都在哪？", "{place}的首都是哪座城市？", "{place}有多少人？", "{place}今天天气如何？", "去{place}怎么走？", "{place}好玩吗？", "{place}在哪里？",
             "怎么做{thing}？", "{thing}的做法是什么？", "我想吃{thing}。", "教我做{thing}。", "讲讲{topic}。", "什么是{topic}？", "我想了解{topic}。", "{topic}是什么？",
             "写一篇关于{topic}的文章。", "介绍一下{topic}。", "谁发明了{topic}？", "你觉得{topic}怎么样？", "推荐关于{topic}的书籍。", "{topic}难学吗？", "{place}下雪吗？",
             "周末会下雪吗？", "后天冷吗？", "推荐一首歌。", "推荐一家餐馆。", "帮我写邮件。", "写一段程序。", "谁画了这幅画？", "世界上最高的山是哪座？", "最长的河是哪条？", "给我唱首歌。",
             "翻译成法语。", "帮我订酒店。", "打电话给妈妈。", "今天几号？", "我叫什么名字？", "我头疼。", "谁赢了比赛？", "怎么赚钱？", "宇宙有多大？", "人为什么会做梦？", "帮我做作业。"]
LISTS_ZH = {"place": PLACES_ZH, "thing": THINGS_ZH, "topic": TOPICS_ZH}


def question(rng: random.Random, is_chinese: bool = False) -> str:
    """Of what the guide does not know."""
    lists = LISTS_ZH if is_chinese else LISTS
    text = rng.choice(FRAMES_ZH if is_chinese else FRAMES)
    for name, choices in lists.items():
        if f"{{{name}}}" in text:
            text = text.replace(f"{{{name}}}", rng.choice(choices))
    return text[:1].upper() + text[1:]

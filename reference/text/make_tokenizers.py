"""Makes tests/golden/tokenizers: small tokenizers of the kinds that Llama-class models use, with what transformers
makes of texts and chats; and tests/golden/chat: a tiny random model that brings one of them.

    python3 -m venv .venv && .venv/bin/pip install torch==2.13.0 transformers safetensors numpy jinja2
    .venv/bin/python reference/text/make_tokenizers.py
"""

import json
import shutil
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerFast

TARGET = Path(__file__).parents[2] / "tests" / "golden"
TEXT = [
    "The otter swims in the river and looks for shells.", "A table of sixteen numbers says what each code means.",
    "Numbers: 1, 22, 333, 4444. Sums are easy: 12 + 7 = 19.", "def area(width, height):\n    return width * height\n",
    "水獭在河里游泳，寻找贝壳。", "Größe, naïve, café, œuvre, Łódź.", "It's what we'd say; they're here, aren't they?",
] * 4
SAMPLES = [
    "", "Hello otter", " leading and trailing ", "two  spaces\n\nand\tlines", "It's 3:45, isn't it?", "12345 + 678",
    "水獭吃贝壳", "🦦 otter 👩‍👩‍👧 family", "e\u0301 combining", "naïve café", "code: x[i] += y[j]; // done",
    "<|eot_id|> typed by hand", "الكلب", "\u0000\u0007 controls", "a" * 50,
]
CHATS = [
    [{"role": "user", "content": "Hello there"}],
    [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "  What is 2 + 2?  "}],
    [{"role": "user", "content": "水獭吃什么？"}, {"role": "assistant", "content": "Shells."}, {"role": "user", "content": "More\nof it"}],
]
LLAMA3_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
HEADER_TEMPLATE = (
    "{{- bos_token }}{%- for m in messages %}{{- '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + "
    "m['content'] | trim + '<|eot_id|>' }}{%- endfor %}{%- if add_generation_prompt %}"
    "{{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif %}"
)
CHATML_TEMPLATE = (
    "{%- if messages[0]['role'] != 'system' %}{{- '<|im_start|>system\nYou help.<|im_end|>\n' }}{%- endif %}"
    "{%- for m in messages %}{{- '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
INST_TEMPLATE = (
    "{%- for m in messages %}{%- if m['role'] == 'system' %}{{- raise_exception('No system messages here') }}"
    "{%- elif m['role'] == 'user' %}{{- bos_token + '[INST] ' + m['content'] | trim + ' [/INST]' }}"
    "{%- else %}{{- ' ' + m['content'] | trim + ' ' + eos_token }}{%- endif %}{%- endfor %}"
)


def byte_level(split: str | None, special: list[str], bos: str | None) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    steps = [] if split is None else [pre_tokenizers.Split(Regex(split), behavior="isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, special_tokens=[], show_progress=False))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    if bos is not None:
        tokenizer.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos} $B", special_tokens=[(bos, tokenizer.token_to_id(bos))]),
        ])
    return tokenizer


def sentence_piece() -> Tokenizer:
    special = ["<unk>", "<s>", "</s>"]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=420, special_tokens=special + fallback, limit_alphabet=90, show_progress=False))
    # The byte tokens are ordinary entries of the vocabulary, not special ones.
    definition = json.loads(tokenizer.to_str())
    definition["added_tokens"] = [token for token in definition["added_tokens"] if token["content"] in special]
    tokenizer = Tokenizer.from_str(json.dumps(definition))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return tokenizer


def main() -> None:
    llama3 = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    cases = {
        "llama3-like": (byte_level(LLAMA3_SPLIT, llama3, "<|begin_of_text|>"), "<|begin_of_text|>", "<|eot_id|>", HEADER_TEMPLATE),
        "qwen-like": (byte_level(None, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None), None, "<|im_end|>", CHATML_TEMPLATE),
        "llama2-like": (sentence_piece(), "<s>", "</s>", INST_TEMPLATE),
    }
    for name, (core, bos, eos, template) in cases.items():
        folder = TARGET / "tokenizers" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token=eos, clean_up_tokenization_spaces=False)
        core.save(str(folder / "tokenizer.json"), pretty=False)
        config = {"bos_token": bos, "eos_token": eos, "clean_up_tokenization_spaces": False, "tokenizer_class": "PreTrainedTokenizerFast"}
        if name == "qwen-like":
            (folder / "chat_template.jinja").write_text(template)
        else:
            config["chat_template"] = template
        (folder / "tokenizer_config.json").write_text(json.dumps(config, ensure_ascii=False, indent=1) + "\n")
        tokenizer.chat_template = template
        expected = {"made_with": f"transformers {transformers.__version__}", "texts": [], "chats": []}
        for text in SAMPLES:
            ids = tokenizer(text)["input_ids"]
            expected["texts"].append({"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=True)})
        for chat in CHATS:
            if name == "llama2-like" and chat[0]["role"] == "system":
                continue
            text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
            ids = tokenizer(text, add_special_tokens=False)["input_ids"]
            expected["chats"].append({"messages": chat, "text": text, "ids": ids})
        (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n")

    torch.manual_seed(5)
    source = TARGET / "tokenizers" / "llama3-like"
    vocabulary = len(cases["llama3-like"][0].get_vocab())
    end = cases["llama3-like"][0].token_to_id("<|eot_id|>")
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=end - 4, eos_token_id=end,
    )
    config.architectures = ["LlamaForCausalLM"]
    model = AutoModelForCausalLM.from_config(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = torch.randn_like(parameter) * 0.12
    folder = TARGET / "chat" / "tiny-llama"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tensors = {key: value.to(torch.bfloat16).contiguous() for key, value in model.state_dict().items() if key != "lm_head.weight"}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(config.to_json_string(use_diff=False))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [end, end - 3]}) + "\n")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(source / name, folder / name)


if __name__ == "__main__":
    main()

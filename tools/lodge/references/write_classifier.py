"""Writes a small BERT that tells three classes of text, with its tokenizer and what transformers makes of it.

The weights are random, large enough that texts of the same words in another order differ. Tests/Fixtures/bert-classifier
holds what it writes: the checkpoint as `save_pretrained` leaves it, text.txt with a text a line to convert it on, and
expected.json with the probabilities of each class for some texts.  write_classifier.py Tests/Fixtures/bert-classifier
"""

import json
import os
import random
import sys

import torch
import transformers

NAMES = ["bad", "middling", "good"]
WORDS = "the film was a very good bad dull bright long short story and not it music actor scene".split()
MARKS = list(".,!?")
QUESTIONS = [
    "the film was very good",
    "It was bad, and not good!",
    "a long story, a dull scene",
    "unknownword was it?",
]


def main(folder):
    os.makedirs(folder, exist_ok=True)
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + MARKS + WORDS + ["##s", "##ly"]
    with open(f"{folder}/vocab.txt", "w") as file:
        file.write("".join(f"{word}\n" for word in words))
    tokenizer = transformers.BertTokenizer(f"{folder}/vocab.txt")
    torch.manual_seed(3)
    model = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=len(words), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=32, num_labels=len(NAMES),
            id2label=dict(enumerate(NAMES)), label2id={name: i for i, name in enumerate(NAMES)},
        )
    ).eval()
    for weight in model.parameters():
        if weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.4)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    draw = random.Random(1)
    with open(f"{folder}/text.txt", "w") as file:
        for _ in range(60):
            text = " ".join(draw.choice(WORDS) for _ in range(draw.randrange(4, 12)))
            file.write(text + draw.choice(MARKS) + "\n")
    expected = []
    for text in QUESTIONS:
        ids = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            shares = torch.softmax(model(**ids).logits[0].double(), -1)
        expected.append(
            {
                "text": text,
                "ids": ids["input_ids"][0].tolist(),
                "probabilities": dict(zip(NAMES, shares.tolist())),
            }
        )
    with open(f"{folder}/expected.json", "w") as file:
        json.dump(expected, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: write-classifier FOLDER")
    main(sys.argv[1])

"""Reference models that answer with classes, tokens behind a mask, or one vector of a text."""

import torch

from lodge.references import changes, encoders
from lodge.references.case import Case, Change


def labels(count):
    """Names of `count` classes, by number and number by name."""
    names = {index: f"class {index + 1}" for index in range(count)}
    return {"id2label": names, "label2id": {name: index for index, name in names.items()}}


BERT = {**encoders.BERT, "num_hidden_layers": 1}
ROBERTA = {**encoders.ROBERTA, "num_hidden_layers": 1}
ELECTRA = {**BERT, "embedding_size": 16}
DISTILBERT = {**encoders.DISTILBERT, "n_layers": 1}
MPNET = {**encoders.MPNET, "num_hidden_layers": 1}
MODERN = {**encoders.MODERN, "num_hidden_layers": 2}


def head(kind, pattern):
    """A case of this kind, whose own parameters are those named by `pattern`."""

    def make(name, architecture, config, settings=None, **more):
        own = {
            "head biases": changes.zero(rf"({pattern}).*bias$"),
            "head": changes.weights(rf"({pattern})\S*weight$", lambda array: array * 0.5),
        }
        return Case(name, architecture, config, {**own, **(settings or {})}, head=kind, **more)

    return make


# One row a text: more of them.
TEXTS = (5, 24, 9, 14)
classes = head("classes", r"pooler|classifier|pre_classifier|^head\.")
token_classes = head("tokenClasses", r"classifier|^head\.")
masked = head("tokenLogits", r"cls\.predictions|lm_head|vocab_|generator_|^head\.|^decoder")
# Class logits of two texts deviate by 3 with these gains.
RELU = {"activation": changes.config(hidden_act="relu")}


def loud(gain):
    """The logits of the texts deviate by 3 to 10."""
    return {"lengths": TEXTS, "gains": {r"classifier\.weight$|out_proj\.weight$": gain}}


def relu(pattern):
    return {"head activation": changes.hooked(pattern, torch.relu)}


CLASSES = [
    classes(
        "bert-classes", "BertForSequenceClassification",
        {**BERT, **labels(3), "problem_type": "single_label_classification"},
        relu(r"pooler\.dense$"), **loud(10)),
    classes(
        "bert-multi-label", "BertForSequenceClassification",
        {**BERT, **labels(5), "problem_type": "multi_label_classification"}, **loud(6)),
    classes(
        "bert-regression", "BertForSequenceClassification",
        {**BERT, **labels(1), "problem_type": "regression"}, **loud(9)),
    classes(
        "roberta-classes", "RobertaForSequenceClassification", {**ROBERTA, **labels(3)},
        relu(r"classifier\.dense$"), **loud(7)),
    classes(
        "xlm-roberta-classes", "XLMRobertaForSequenceClassification", {**ROBERTA, **labels(4)},
        **loud(6)),
    classes(
        "distilbert-classes", "DistilBertForSequenceClassification", {**DISTILBERT, **labels(3)},
        {"head activation": changes.hooked("pre_classifier$", torch.abs)}, **loud(4)),
    classes(
        "electra-classes", "ElectraForSequenceClassification", {**ELECTRA, **labels(3)},
        relu(r"classifier\.dense$"), **loud(2)),
    classes(
        "mpnet-classes", "MPNetForSequenceClassification", {**MPNET, **labels(3)},
        relu(r"classifier\.dense$"), **loud(6)),
    classes(
        "modernbert-classes", "ModernBertForSequenceClassification", {**MODERN, **labels(3)},
        {"pooling": changes.config(classifier_pooling="mean"),
         "head activation": changes.config(classifier_activation="relu")}, **loud(4)),
    classes(
        "modernbert-mean-classes", "ModernBertForSequenceClassification",
        {**MODERN, **labels(3), "classifier_pooling": "mean", "classifier_bias": True},
        {"pooling": changes.config(classifier_pooling="cls")}, **loud(4)),
]
TOKEN_CLASSES = [
    token_classes(name, architecture, {**config, **labels(5)}, gains={"classifier": 5.0})
    for name, architecture, config in [
        ("bert-token-classes", "BertForTokenClassification", BERT),
        ("roberta-token-classes", "RobertaForTokenClassification", ROBERTA),
        ("xlm-roberta-token-classes", "XLMRobertaForTokenClassification", ROBERTA),
        ("distilbert-token-classes", "DistilBertForTokenClassification", DISTILBERT),
        ("electra-token-classes", "ElectraForTokenClassification", ELECTRA),
        ("mpnet-token-classes", "MPNetForTokenClassification", MPNET),
        ("modernbert-token-classes", "ModernBertForTokenClassification", MODERN),
    ]
]
MASKED = [
    masked("bert-masked", "BertForMaskedLM", BERT, RELU),
    masked(
        "bert-masked-untied", "BertForMaskedLM", {**BERT, "tie_word_embeddings": False},
        {"own output matrix": changes.tied(
            "cls.predictions.decoder.weight", "bert.embeddings.word_embeddings.weight")},
        differsIn5=True),
    masked("roberta-masked", "RobertaForMaskedLM", ROBERTA),
    masked("xlm-roberta-masked", "XLMRobertaForMaskedLM", ROBERTA),
    masked("distilbert-masked", "DistilBertForMaskedLM", DISTILBERT),
    masked("electra-masked", "ElectraForMaskedLM", ELECTRA),
    masked("mpnet-masked", "MPNetForMaskedLM", MPNET),
    masked(
        "modernbert-masked", "ModernBertForMaskedLM", MODERN,
        {"head activation": changes.config(classifier_activation="relu")}),
]


def embedding(name, architecture, config, pooling, normalises=False, **more):
    """A folder of sentence-transformers: an encoder, a pooling, and perhaps unit length."""
    settings = {"pooling": Change(case={"pooling": {"cls": "mean", "mean": "cls"}[pooling]})}
    if normalises:
        settings["unit length"] = Change(case={"normalises": False})
    return Case(
        name, architecture, config, settings, head="embedding", pooling=pooling,
        normalises=normalises, lengths=TEXTS, **more)


EMBEDDINGS = [
    embedding("bert-embedding-mean", "BertModel", BERT, "mean"),
    embedding("bert-embedding-mean-unit", "BertModel", BERT, "mean", True, hasGGUF=True),
    embedding("bert-embedding-cls", "BertModel", BERT, "cls"),
    embedding(
        "bert-embedding-cls-unit", "BertModel", BERT, "cls", True, isModern=True, hasGGUF=True),
    embedding("mpnet-embedding-mean-unit", "MPNetModel", MPNET, "mean", True),
    embedding("xlm-roberta-embedding-cls-unit", "XLMRobertaModel", ROBERTA, "cls", True),
    embedding("distilbert-embedding-mean", "DistilBertModel", DISTILBERT, "mean"),
    embedding("modernbert-embedding-mean", "ModernBertModel", MODERN, "mean", isModern=True),
]
HEADS = CLASSES + TOKEN_CLASSES + MASKED + EMBEDDINGS

"""What one reference model is: its architecture and settings, and the change each one makes."""

import dataclasses
import re
import zlib

import numpy


@dataclasses.dataclass
class Change:
    """Turns one setting of a model off.

    `config` replaces keys of config.json, `weights` changes the arrays by name in place, `patch`
    changes the built model, `case` the fields of the case. Tensors that the changed model does not
    have are dropped.
    """

    config: dict = dataclasses.field(default_factory=dict)
    weights: callable = None
    patch: callable = None
    case: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Case:
    """One reference model; `architecture` is the transformers class that computes and saves it."""

    name: str
    architecture: str
    config: dict
    settings: dict
    # logits, states, classes, tokenClasses, tokenLogits or embedding
    head: str = "logits"
    # Tokens of each text. The second exceeds every window and original rotary length.
    lengths: tuple = (5, 24)
    # Standard deviation of a matrix's product with a vector of unit variance, by parameter name.
    gains: dict = dataclasses.field(default_factory=dict)
    attention: str = "eager"
    # Of an embedding: cls or mean, and whether it is normalised.
    pooling: str = None
    normalises: bool = False
    # Whether the folder is of sentence-transformers 6, which names its modules in another way.
    isModern: bool = False
    # Whether model.gguf is written: where llama.cpp's converter loses none of the settings.
    hasGGUF: bool = False
    # Transformers 5 reads the folder otherwise: it wants a second tensor for the same biases.
    differsIn5: bool = False

    def generator(self, seed, *names):
        """Random numbers that depend on the seed and these names alone."""
        key = "/".join((self.name,) + names).encode()
        return numpy.random.Generator(numpy.random.PCG64([seed, zlib.crc32(key)]))

    def gain(self, parameter, default):
        for pattern, value in self.gains.items():
            if re.search(pattern, parameter):
                return value
        return default

    def texts(self, seed):
        """Token ids; 0 to 2 are kept for padding, beginning and end."""
        return [
            self.generator(seed, f"text {n}").integers(3, self.config["vocab_size"], n).tolist()
            for n in self.lengths
        ]

"""What requests ask: every parameter is checked before anything is started, so that none costs a session."""

import json
import math

from lodge.serving.errors import Refusal, wrong

MOST_PROMPTS = 64
MOST_STOPS = 16
MOST_NEW_TOKENS = 1 << 20
LARGEST_SEED = 2**63 - 1
ROLES = ("system", "developer", "user", "assistant")

# Parameters that are not done, with the values that ask for nothing.
UNDONE = {
    "n": (1,), "best_of": (1,), "echo": (False,), "logprobs": (False,), "top_logprobs": (0,),
    "suffix": ("",), "presence_penalty": (0,), "frequency_penalty": (0,), "logit_bias": ({},),
    "tools": ([],), "functions": ([],), "tool_choice": ("none",), "function_call": ("none",),
    "response_format": ({"type": "text"},), "modalities": (["text"],), "store": (False,),
}
# What a client may say of itself; nothing is made of it, and nobody is told.
UNUSED = {"user", "metadata"}
ANSWERS = {"model", "max_tokens", "temperature", "top_p", "stop", "seed", "stream", "stream_options"}


class Question:
    """A request as lodge-client is asked, and how its answer is written."""

    def __init__(self, output):
        self.output = output
        self.prompts = []
        self.messages = []
        self.stops = []
        self.choices = {}
        self.streams = False
        self.includes_usage = False
        self.encoding = "float"

    def request(self):
        """What lodge-client's --request takes."""
        content = {"messages": self.messages} if self.messages else {"prompts": self.prompts}
        if self.stops:
            content["stop"] = self.stops
        return {"output": self.output, **content, **self.choices}

    def count(self):
        return 1 if self.messages else len(self.prompts)


def read_json(content):
    """The members of a JSON object: strict, without a key twice."""

    def members(pairs):
        found = dict(pairs)
        if len(found) < len(pairs):
            raise wrong("the body is not JSON: a key stands twice")
        return found

    def constant(name):
        raise wrong(f"the body is not JSON: {name} is no number")

    try:
        value = json.loads(content.decode("utf-8"), object_pairs_hook=members, parse_constant=constant)
        # Half of a surrogate pair is no text.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeError:
        raise wrong("the body is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise wrong(f"the body is not JSON: byte {error.pos}") from None
    except ValueError:
        raise wrong("the body is not JSON: a number is too long") from None
    except RecursionError:
        raise wrong("the body is nested too deeply") from None
    if not isinstance(value, dict):
        raise wrong("the body must be a JSON object")
    # Null is as good as nothing.
    return {key: part for key, part in value.items() if part is not None}


def completion(body, settings):
    check_names(body, settings, ANSWERS | {"prompt"})
    question = Question("text")
    question.prompts = prompts(body, "prompt")
    add_generation(question, body, settings)
    return question


def chat(body, settings):
    check_names(body, settings, ANSWERS | {"messages", "max_completion_tokens"})
    question = Question("text")
    question.messages = messages(body)
    add_generation(question, body, settings)
    return question


def embedding(body, settings):
    check_names(body, settings, {"model", "input", "encoding_format"})
    question = Question("embedding")
    question.prompts = prompts(body, "input")
    question.encoding = body.get("encoding_format", "float")
    if question.encoding not in ("float", "base64"):
        raise wrong("encoding_format is neither float nor base64", "encoding_format")
    return question


def check_names(body, settings, known):
    """Throws for parameters that would be silently without effect, and for another model."""
    for name, value in body.items():
        if name in known or name in UNUSED:
            continue
        # Not ==, for which False is 0 and 1 is True.
        if not any(is_same(value, neutral) for neutral in UNDONE.get(name, ())):
            done = "is not done with this value" if name in UNDONE else "is not a parameter here"
            raise wrong(f"{name[:64]} {done}", name[:64], "unsupported_parameter")
    model = body.get("model")
    if model is None:
        raise wrong("model is missing", "model")
    if not isinstance(model, str) or model != settings.model:
        raise Refusal(
            404, f"the model here is {settings.model}", code="model_not_found", parameter="model")


def is_same(value, neutral):
    if isinstance(value, bool) or isinstance(neutral, bool):
        return value is neutral
    return value == neutral


def is_integer(value, smallest, largest):
    return type(value) is int and smallest <= value <= largest


def prompts(body, name):
    """A text, a list of texts, a list of token ids, or a list of such lists."""
    value = body.get(name)
    if value is None:
        raise wrong(f"{name} is missing", name)
    if isinstance(value, str) or (isinstance(value, list) and value and type(value[0]) is int):
        value = [value]
    if not isinstance(value, list) or not value:
        raise wrong(f"{name} must be a text, a list of texts, or token ids", name)
    if len(value) > MOST_PROMPTS:
        raise wrong(f"{name} has {len(value)} elements, {MOST_PROMPTS} is the most", name)
    for element in value:
        if isinstance(element, str):
            if not element:
                raise wrong(f"{name} has an empty text", name)
        elif not isinstance(element, list) or not element or not all(
                is_integer(token, 0, 2**31 - 1) for token in element):
            raise wrong(f"{name} must hold texts, or lists of token ids", name)
    return value


def messages(body):
    value = body.get("messages")
    if not isinstance(value, list) or not value:
        raise wrong("messages must be a list of messages", "messages")
    found = []
    for index, message in enumerate(value):
        place = f"messages[{index}]"
        if not isinstance(message, dict):
            raise wrong(f"{place} must be an object", place)
        role = message.get("role")
        if role not in ROLES:
            raise wrong(f"{place}.role must be one of {', '.join(ROLES)}", f"{place}.role")
        for name, part in message.items():
            if name not in ("role", "content") and part not in (None, []):
                raise wrong(f"{place} has a {name[:64]}, which is not done", f"{place}.{name[:64]}")
        found.append({"role": role, "content": text(message.get("content"), f"{place}.content")})
    return found


def text(content, place):
    """A text, or a list of parts that are texts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise wrong(f"{place} must be a text", place)
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise wrong(f"{place} has a part that is no text", place)
    return "".join(part["text"] for part in content)


def add_generation(question, body, settings):
    names = [name for name in ("max_tokens", "max_completion_tokens") if name in body]
    if len(names) == 2:
        raise wrong("max_tokens and max_completion_tokens exclude each other", "max_tokens")
    new = body[names[0]] if names else settings.new
    if not is_integer(new, 1, MOST_NEW_TOKENS):
        raise wrong(f"{names[0]} must be a whole number from 1 on", names[0])
    temperature = number(body, "temperature", 1, 2)
    mass = number(body, "top_p", 1, 1)
    seed = body.get("seed")
    if seed is not None and not is_integer(seed, 0, LARGEST_SEED):
        raise wrong(f"seed must be a whole number from 0 to {LARGEST_SEED}", "seed")
    question.choices = {"new": new, "temperature": temperature}
    # The likeliest token is what it is, whatever these say.
    if temperature > 0:
        question.choices |= {"topP": mass} | ({} if seed is None else {"seed": seed})
    stops = body.get("stop", [])
    stops = [stops] if isinstance(stops, str) else stops
    if not isinstance(stops, list) or not all(isinstance(stop, str) and stop for stop in stops):
        raise wrong("stop must be a text or a list of texts, none of them empty", "stop")
    if len(stops) > MOST_STOPS:
        raise wrong(f"stop has {len(stops)} texts, {MOST_STOPS} is the most", "stop")
    question.stops = stops
    question.streams = boolean(body, "stream", "stream")
    usage = body.get("stream_options", {})
    if not isinstance(usage, dict) or set(usage) - {"include_usage"}:
        raise wrong("stream_options takes include_usage only", "stream_options")
    if "stream_options" in body and not question.streams:
        raise wrong("stream_options goes with stream", "stream_options")
    question.includes_usage = boolean(usage, "include_usage", "stream_options.include_usage")


def number(body, name, default, largest):
    value = body.get(name, default)
    if type(value) not in (int, float) or not math.isfinite(value) or not 0 <= value <= largest:
        raise wrong(f"{name} must be a number from 0 to {largest}", name)
    return value


def boolean(body, name, place):
    value = body.get(name, False)
    if value is not True and value is not False:
        if value is None:
            return False
        raise wrong(f"{place} must be true or false", place)
    return value

"""The files by which sentence-transformers knows how token states become one vector."""

import json
import os

# Names of classes and of the pooling's settings, of versions up to 5 and of version 6.
EARLIER = {
    "transformer": "sentence_transformers.models.Transformer",
    "pooling": "sentence_transformers.models.Pooling",
    "normalize": "sentence_transformers.models.Normalize",
}
MODERN = {
    "transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "normalize": "sentence_transformers.base.modules.normalize.Normalize",
}
MODES = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens",
         "lasttoken"]


def write_json(path, value):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        json.dump(value, file, indent=2)
        file.write("\n")


def write_modules(folder, case, width):
    """Adds modules.json and the settings of each module to the encoder in `folder`."""
    types = MODERN if case.isModern else EARLIER
    modules = [("", types["transformer"]), ("1_Pooling", types["pooling"])]
    if case.normalises:
        modules.append(("2_Normalize", types["normalize"]))
    write_json(os.path.join(folder, "modules.json"), [
        {"idx": index, "name": str(index), "path": path, "type": kind}
        for index, (path, kind) in enumerate(modules)
    ])
    write_json(
        os.path.join(folder, "sentence_bert_config.json"),
        {"max_seq_length": 32, "do_lower_case": False})
    if case.isModern:
        pooling = {"embedding_dimension": width, "pooling_mode": case.pooling}
    else:
        chosen = {"cls": "cls_token", "mean": "mean_tokens"}[case.pooling]
        pooling = {"word_embedding_dimension": width}
        pooling |= {f"pooling_mode_{mode}": mode == chosen for mode in MODES}
    pooling["include_prompt"] = True
    write_json(os.path.join(folder, "1_Pooling", "config.json"), pooling)
    if case.normalises and case.isModern:
        # Earlier versions leave this folder empty.
        write_json(
            os.path.join(folder, "2_Normalize", "config.json"),
            {"module_input_name": "sentence_embedding",
             "module_output_name": "sentence_embedding"})

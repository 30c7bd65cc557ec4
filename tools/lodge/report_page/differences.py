"""What recipes do differently to one model: by function as its nodes have it, then by setting."""

from .markup import figure, text, whole


def differences(document):
    """Rows of a table: a setting, and what each model has for it, as HTML."""
    names = [name for name in document["differingMembers"] if name != "nodes"]
    recipes = [model["recipe"] for model in document["models"]]
    # `nodes` has what every node got; the members of functions only what was asked for them.
    functions = sorted({
        function for recipe in recipes for node in recipe.get("nodes", {}).values()
        for function in node
    })
    rows = []
    for function in functions:
        cells = [by_node(recipe, function) for recipe in recipes]
        if len(set(cells)) > 1:
            rows.append([f"<b>{text(function)}</b>"] + cells)
    for name in names:
        # A replacement of a function that no node computes changes nothing.
        if name in functions or any(is_replacement(recipe.get(name)) for recipe in recipes):
            continue
        rows.append([f"<b>{text(name)}</b>"] + [shown(recipe.get(name)) for recipe in recipes])
    return rows


def is_replacement(value):
    return isinstance(value, dict) and "replacement" in value


def by_node(recipe, function):
    """The replacements of all nodes that compute `function`, those with one name together."""
    groups = {}
    for node in recipe.get("nodes", {}).values():
        if function in node:
            groups.setdefault(node[function]["replacement"], []).append(node[function])
    parts = []
    for replacement, entries in groups.items():
        count = f" at {len(entries)} nodes" if len(groups) > 1 else ""
        members = dict.fromkeys(
            name for entry in entries for name in entry if name not in ("replacement", "note"))
        details = "; ".join(
            f"{text(name)} {together([entry.get(name) for entry in entries])}" for name in members)
        parts.append(
            f"{text(replacement)}{count}"
            + (f'<br><span class="small">{details}</span>' if details else ""))
    return "<br>".join(parts) or "–"


def together(values):
    """The values of one member at several nodes: one value, the ends of a range, or their number."""
    known = [value for value in values if value is not None]
    if all(value == known[0] for value in known):
        return shown(known[0])
    if all(is_number(value) for value in known):
        return f"{shown(min(known))} … {shown(max(known))}"
    if all(isinstance(value, list) for value in known):
        return "different at each"
    return ", ".join(dict.fromkeys(shown(value) for value in known))


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def shown(value):
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_number(value):
        return whole(value) if isinstance(value, int) else figure(value, 3)
    if isinstance(value, list):
        return f"{whole(len(value))} values" if len(value) > 4 else ", ".join(map(shown, value))
    if isinstance(value, dict):
        return "; ".join(f"{text(name)} {shown(member)}" for name, member in value.items())
    return text(value)

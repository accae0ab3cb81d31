"""Which token belongs there: the documented order once more, written from PROTOCOL.md as a search and not
as a list, for the tests to compare with."""

import json
import sys

KINDS = ("models", "datasets", "spaces")


def parts(text):
    text = text.lower()
    kind = None
    head, slash, tail = text.partition("/")
    if slash and head in KINDS:
        kind, text = head, tail
    owner, slash, name = text.partition("/")
    return (kind, owner, name) if slash else (kind, None, owner)


def concerns(rule, repository):
    if rule.get("pattern") is None:
        return True
    if repository is None:
        return False
    kind, owner, name = parts(repository)
    wanted_kind, wanted_owner, wanted_name = parts(rule["pattern"])
    if wanted_kind is not None and wanted_kind != (kind or "models"):
        return False
    return owner == wanted_owner and wanted_name in ("*", name)


def strength(index, rule):
    """What sorts the rules: smaller is asked earlier."""
    source, pattern = rule["source"], rule.get("pattern")
    if source == "argument":
        return (0,)
    if source == "shell":
        return (1,)
    kind, _, name = parts(pattern) if pattern is not None else (None, None, None)
    closeness = (name == "*", kind is None)
    if pattern is not None:
        # Rules of one file come one after another, the nearest file first.
        return (4 if source == "file" else 5, rule["nearness"], closeness, index)
    return (6 if source == "file" else 7, index)


def answer(case):
    question, tokens = case["question"], {token["name"]: token for token in case["tokens"]}
    asked = question.get("endpoint")
    aliases = case["aliases"]

    def fits(hub):
        return asked is None or hub == asked or [hub, asked] in aliases

    said = []
    nearness, last = -1, object()
    for index, rule in enumerate(question.get("rules", [])):
        if rule.get("path") != last:
            nearness, last = nearness + 1, rule.get("path")
        rule = dict(rule, nearness=nearness)
        if rule["source"] in ("argument", "shell") and rule.get("pattern") is not None:
            continue
        said.append((strength(index, rule), rule["source"], rule))
    if "environment" in question:
        said.append(((2,), "environment", {"hub": question["environment"]}))
    if "user" in question:
        there = [t for t in tokens.values() if fits(t["endpoint"])]
        wanted = question["user"].lower()
        theirs = [t for t in there if (t["user"] or "").lower() == wanted]
        if theirs:
            best = min(theirs, key=lambda t: (not t["active"], t["name"].encode()))
            said.append(((3,), "user", {"name": best["name"]}))
        elif None not in [t["user"] for t in there]:
            said.append(((3,), "user", {"name": None}))
    active = [t for t in tokens.values() if t["active"]]
    if active:
        said.append(((8,), "active", {"name": active[0]["name"]}))
    candidates = [t for t in tokens.values() if fits(t["endpoint"])]
    if asked is not None and len(candidates) == 1:
        said.append(((9,), "only", {"name": candidates[0]["name"]}))

    result, verdicts = None, []
    for _, source, rule in sorted(said, key=lambda entry: entry[0]):
        name = rule.get("name")
        if source in ("argument", "shell", "file", "configuration") and name is None:
            verdict = "untrusted"
        elif not concerns(rule, question.get("repository")):
            verdict = "other-repository"
        elif result is not None:
            verdict = "outranked"
        elif source == "user" and name is None:
            verdict = "missing"
        elif source == "environment":
            verdict = "chosen" if fits(rule["hub"]) else "other-hub"
        elif name not in tokens:
            verdict = "missing"
        else:
            verdict = "chosen" if fits(tokens[name]["endpoint"]) else "other-hub"
        if verdict == "chosen":
            result = ["environment"] if source == "environment" else ["token", name]
        elif verdict == "missing":
            result = ["missing", name] if name is not None else ["of-user"]
        elif verdict == "other-hub" and source == "argument":
            result = ["other-hub", name]
        verdicts.append([source, verdict, name])
    return {"answer": result or ["nothing"], "considered": verdicts}


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

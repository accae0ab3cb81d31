"""What huggingface_hub 2.4.0 makes of the bytes of `stored_tokens`.

Each case is text whose characters are the bytes of a file. The answer is null where huggingface_hub
would say "Error parsing stored tokens file", else the sections, in order, each with its keys and
values, in order, and what would be written back.
"""

import configparser
import io
import json
import sys

assert sys.version_info >= (3, 10), "huggingface_hub 2 and these tests need Python 3.10"

OWN = ["hf_token", "refresh_token", "expires_at"]


def read(content):
    # _read_stored_tokens_full; `ConfigParser.read` opens the file in text mode.
    config = configparser.ConfigParser(interpolation=None)
    try:
        config.read_file(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
        return {name: dict(config.items(name)) for name in config.sections()}
    except (configparser.Error, UnicodeDecodeError):
        return None


def write(stored_tokens):
    # _save_stored_tokens_full
    config = configparser.ConfigParser(interpolation=None)
    for token_name in sorted(stored_tokens.keys()):
        config.add_section(token_name)
        for key, value in stored_tokens[token_name].items():
            config.set(token_name, key, value)

    buf = io.StringIO()
    config.write(buf)
    return buf.getvalue()


def own_keys_first(fields):
    # _save_token makes a section in this order; a file edited by hand may have another.
    return {key: fields[key] for key in sorted(fields, key=lambda k: OWN.index(k) if k in OWN else 3)}


def answer(case):
    sections = read(case.encode("latin-1"))
    if sections is None:
        return None
    return {
        "sections": [[name, list(map(list, fields.items()))] for name, fields in sections.items()],
        "written": write({name: own_keys_first(fields) for name, fields in sections.items()}),
    }


json.dump([answer(case) for case in json.load(sys.stdin)], sys.stdout)

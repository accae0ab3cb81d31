"""What Python makes of each byte in a code page of Windows: a character, or U+FFFD where it means nothing.

Each case is the name of a codec. `code_pages.json` is the answers for the code pages of one byte.
"""

import json
import sys

json.dump(
    [bytes(range(256)).decode(name, errors="replace") for name in json.load(sys.stdin)],
    sys.stdout,
    ensure_ascii=False,
    indent=0,
)

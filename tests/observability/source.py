"""What the code writes: the fields of its lines, as they stand in the source."""

import re

from promtool import ROOT

LEVELS = ("error", "warn", "info", "debug", "trace")
# Where a file's own tests begin. A module that is for tests only and stands in another file ends nothing.
TESTS = re.compile(r"^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod \w+ \{$", re.MULTILINE)
# A macro's arguments up to the parenthesis that closes it.
MACRO = re.compile(r"tracing::(%s)!\(" % "|".join(LEVELS))


def product() -> list[str]:
    """The source without the simulator, which is no part of the product, and without tests."""
    files = [file for file in (ROOT / "src").rglob("*.rs") if "simulator" not in str(file.relative_to(ROOT))]
    return [TESTS.split(file.read_text())[0] for file in sorted(files)]


def messages() -> dict[str, tuple[str, set[str]]]:
    """Level and fields of each line beside the calls', by its message."""
    found = {}
    for text in product():
        for match in MACRO.finditer(text):
            arguments = split(closed(text[match.end():]))
            message = re.sub(r"\\\s+", "", arguments[-1].strip('"'))
            level, fields = match[1].upper(), {field(argument) for argument in arguments[:-1]}
            if message == "call":
                assert fields <= call_fields(), fields
                continue
            assert found.get(message, (level, fields)) == (level, fields), f"two kinds of line say: {message}"
            found[message] = level, fields
    return found


def call_fields() -> set[str]:
    """The fields of the call's own line."""
    code = (ROOT / "src" / "grpc" / "call.rs").read_text()
    arguments = split(closed(code.split("tracing::event!(")[1]))
    assert arguments[0] == "$level" and arguments[-1] == '"call"'
    return {field(argument) for argument in arguments[1:-1]}


def audit_fields() -> list[str]:
    """The audit line's fields, in their order."""
    code = (ROOT / "src" / "telemetry" / "audit" / "line.rs").read_text()
    body = code.split("struct Line<'a> {")[1].split("\n}")[0]
    return re.findall(r"^    pub\(super\) (\w+): ", body, re.MULTILINE)


def field(argument: str) -> str:
    return re.match(r"[%?]?(\w+)", argument)[1]


def closed(text: str) -> str:
    depth, quoted = 1, False
    for at, character in enumerate(text):
        if character == '"' and text[at - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[:at]
    raise ValueError("the macro never ends")


def split(arguments: str) -> list[str]:
    """At the commas that stand in no parenthesis and no text."""
    parts, depth, quoted = [""], 0, False
    for at, character in enumerate(arguments):
        if character == '"' and arguments[at - 1] != "\\":
            quoted = not quoted
        if not quoted:
            depth += {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}.get(character, 0)
        if character == "," and depth == 0 and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]

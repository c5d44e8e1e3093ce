"""
The OpenAPI document as a page for people, at `/docs`.

It has no script and asks no other host for anything: many who judge sports have no way out of their
network. (Swagger UI in a wheel has 8.6 MB, is years old, and needs a policy that allows inline
styles.)
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Any

Document = dict[str, Any]

_CODE = re.compile(r"`([^`]+)`")
_PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>{title}: calls</title>
  <link rel="icon" href="web/icon.svg" type="image/svg+xml">
  <link rel="stylesheet" href="web/page.css">
  <link rel="stylesheet" href="web/documentation.css">
</head>
<body>
  <header class="top">
    <div><h1>{title} {version}</h1>{description}
      <p>For programs that write clients: <a href="openapi.json">openapi.json</a>.
      With keys in use, a call marked with <em>key</em> needs
      <code>Authorization: Bearer KEY</code>.</p>
    </div>
    <a href="./">For people</a>
  </header>
  <main>
{sections}
  </main>
</body>
</html>
"""


def documentation(document: Document) -> str:
    """HTML of all calls, then of all objects that they take and return."""
    calls = [
        _call(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    objects = [_object(name, each) for name, each in document["components"]["schemas"].items()]
    about = document["info"]
    return _PAGE.format(
        title=escape(about["title"]),
        version=escape(about["version"]),
        description=_text(about.get("description", "")),
        sections="\n".join([*calls, *objects]),
    )


def _call(path: str, method: str, operation: Document) -> str:
    key = " <em>key</em>" if "security" in operation else ""
    name = f"<code>{method.upper()} {escape(path)}</code>{key}"
    body = operation.get("requestBody", {}).get("content", {})
    takes = [(escape(media), _type(each.get("schema", {}))) for media, each in body.items()]
    returns = [
        (escape(status), _inline(answer["description"]), _returned(answer.get("content", {})))
        for status, answer in operation["responses"].items()
    ]
    return (
        f'<section class="card" id="{escape(operation["operationId"])}">'
        f"<h2>{name} {escape(operation.get('summary', ''))}</h2>"
        f"{_text(operation.get('description', ''))}"
        f"{_table(('Body', 'What'), takes)}{_table(('Status', 'When', 'What'), returns)}</section>"
    )


def _object(name: str, schema: Document) -> str:
    optional = schema.get("properties", {}).keys() - schema.get("required", [])
    rows = [
        (
            f"<code>{escape(field)}</code>" + " <small>optional</small>" * (field in optional),
            _type(each),
            _inline(each.get("description", "")),
        )
        for field, each in schema.get("properties", {}).items()
    ]
    return (
        f'<section class="card" id="{escape(name)}"><h2>{escape(name)}</h2>'
        f"{_text(schema.get('description', ''))}{_table(('Field', 'Type', 'What'), rows)}</section>"
    )


def _returned(content: Document) -> str:
    return ", ".join(
        _type(each.get("schema", {})) or escape(media) for media, each in content.items()
    )


def _type(schema: Document) -> str:
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " or ".join(_type(each) for each in choices if each.get("type") != "null")
    if "const" in schema:
        return f"<code>{escape(str(schema['const']))}</code>"
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(each))}</code>" for each in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {})) or 'anything'}"
    return "file" if schema.get("format") == "binary" else escape(schema.get("type", ""))


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{table}</div>' if body else ""


def _text(text: str) -> str:
    return "".join(f"<p>{_inline(each)}</p>" for each in text.strip().split("\n\n") if each)


def _inline(text: str) -> str:
    return _CODE.sub(r"<code>\1</code>", escape(text))

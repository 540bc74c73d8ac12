"""One row of chat data, in any of the common formats, to what is learned from it.

A row says by its keys which format it has, so that files of several formats can be used together.
Standard library only: data is looked through before anything heavy is loaded.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Message = Mapping[str, Any]
"""As chat templates take it: role, content, and tool_calls or name where there are some."""

ROLES = ("system", "developer", "user", "assistant", "tool")
SPEAKERS = {
    "system": "system",
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "assistant": "assistant",
    "model": "assistant",
    "tool": "tool",
    "observation": "tool",
    "function_response": "tool",
}
"""ShareGPT's names of who speaks."""
FORMATS = (
    "messages, or conversations, or instruction and output, or prompt and completion,"
    " or for --method dpo chosen and rejected"
)


@dataclass(frozen=True)
class Conversation:
    """A talk, and which of its messages are to be learned."""

    messages: tuple[Message, ...]
    learned: tuple[bool, ...]
    """As long as `messages`; true only for messages of the assistant."""
    tools: tuple[Mapping[str, Any], ...] = ()
    plain: bool = False
    """Whether it was a prompt and its completion as plain text."""


@dataclass(frozen=True)
class Preference:
    """One question, and the answer that is to be preferred over another."""

    chosen: Conversation
    rejected: Conversation


def read_row(row: Any, preferences: bool) -> Conversation | Preference:
    """What one row teaches. Raises ValueError: what is wrong, and what it should be."""
    if not isinstance(row, dict):
        raise ValueError(f"is {_kind(row)}; wants an object with {FORMATS}")
    is_pair = "chosen" in row or "rejected" in row
    if preferences:
        if not is_pair:
            raise ValueError(f"has {_keys(row)}; --method dpo wants prompt, chosen and rejected")
        return _preference(row)
    if is_pair:
        raise ValueError(
            "is a pair of answers, chosen and rejected; only --method dpo learns those"
        )
    for keys, read in _READERS:
        if keys[0] in row:
            missing = [key for key in keys if key not in row]
            if missing:
                raise ValueError(f"has {keys[0]} but no {missing[0]}")
            return read(row)
    raise ValueError(f"has {_keys(row)}; wants {FORMATS}")


def _from_messages(row: Mapping[str, Any]) -> Conversation:
    messages = _messages(row["messages"], "messages")
    weights = [
        message.get("weight", 1) if isinstance(message, dict) else 1 for message in row["messages"]
    ]
    for at, weight in enumerate(weights):
        if weight not in (0, 1):
            raise ValueError(f"messages[{at}].weight is {weight!r}; wants 0 or 1")
    return _conversation(messages, "messages", weights, _tools(row))


def _from_conversations(row: Mapping[str, Any]) -> Conversation:
    turns = _list(row["conversations"], "conversations")
    if turns and isinstance(turns[0], dict) and "role" in turns[0]:
        return _conversation(_messages(turns, "conversations"), "conversations")
    messages = _system(row)
    for at, turn in enumerate(turns):
        where = f"conversations[{at}]"
        if not isinstance(turn, dict) or "from" not in turn or "value" not in turn:
            raise ValueError(f"{where} is {_short(turn)}; wants an object with from and value")
        speaker = SPEAKERS.get(turn["from"]) if isinstance(turn["from"], str) else None
        if speaker is None:
            raise ValueError(
                f"{where}.from is {_short(turn['from'])}; wants one of {', '.join(SPEAKERS)}"
            )
        messages.append({"role": speaker, "content": _text(turn["value"], f"{where}.value")})
    return _conversation(messages, "conversations")


def _from_instruction(row: Mapping[str, Any]) -> Conversation:
    question = _text(row["instruction"], "instruction")
    more = row.get("input")
    if more not in (None, ""):
        question = f"{question}\n\n{_text(more, 'input')}"
    answer = _text(row["output"], "output")
    return _talk([*_system(row), *_turns(question, answer)])


def _from_prompt(row: Mapping[str, Any]) -> Conversation:
    prompt, completion = row["prompt"], row["completion"]
    if isinstance(prompt, list) or isinstance(completion, list):
        asked = _said(prompt, "prompt", "user")
        return _talk([*asked, *_said(completion, "completion", "assistant")], asked=len(asked))
    talk = _talk(_turns(_text(prompt, "prompt"), _text(completion, "completion")))
    return Conversation(talk.messages, talk.learned, plain=True)


def _preference(row: Mapping[str, Any]) -> Preference:
    for key in ("chosen", "rejected"):
        if key not in row:
            raise ValueError(f"has no {key}; wants prompt, chosen and rejected")
    chosen = _said(row["chosen"], "chosen", "assistant")
    rejected = _said(row["rejected"], "rejected", "assistant")
    if chosen == rejected:
        raise ValueError("chosen and rejected are the same; wants two different answers")
    shared = _shared(chosen, rejected)
    prompt = [*_system(row), *_said(row["prompt"], "prompt", "user")] if "prompt" in row else []
    # Some data repeats the prompt in both answers.
    if not prompt:
        prompt = chosen[:shared]
    elif shared >= len(prompt) and chosen[: len(prompt)] == prompt:
        shared = len(prompt)
    elif shared:
        raise ValueError("chosen and rejected begin with another talk than prompt has")
    if not prompt:
        raise ValueError("has no prompt, and chosen and rejected do not begin with the same one")
    answers = []
    for key, answer in (("chosen", chosen[shared:]), ("rejected", rejected[shared:])):
        if not answer or answer[0]["role"] != "assistant":
            raise ValueError(f"{key} wants an answer of the assistant after the prompt")
        answers.append(_talk([*prompt, *answer], asked=len(prompt), where=key))
    return Preference(*answers)


def _conversation(
    messages: Sequence[Message],
    where: str,
    weights: Sequence[int] | None = None,
    tools: tuple[Mapping[str, Any], ...] = (),
) -> Conversation:
    weights = weights or [1] * len(messages)
    learned = tuple(
        message["role"] == "assistant" and weight == 1
        for message, weight in zip(messages, weights, strict=True)
    )
    if not messages:
        raise ValueError(f"{where} is empty; wants a question and its answer")
    last = messages[-1]["role"]
    if last != "assistant":
        raise ValueError(
            f"{where} ends with a message of {last}; wants the assistant's answer last"
        )
    if not any(learned):
        raise ValueError(f"{where} has no answer of the assistant to learn")
    return Conversation(tuple(messages), learned, tools)


def _talk(messages: Sequence[Message], asked: int = 0, where: str = "completion") -> Conversation:
    """A talk of which the answers after the first `asked` messages are learned."""
    return _conversation(messages, where, [int(at >= asked) for at in range(len(messages))])


def _turns(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _said(value: Any, where: str, role: str) -> list[Message]:
    """A text that `role` said, or messages as they are."""
    if isinstance(value, list):
        return _messages(value, where)
    return [{"role": role, "content": _text(value, where)}]


def _system(row: Mapping[str, Any]) -> list[Message]:
    """The row's own system message, if it has one."""
    if row.get("system") in (None, ""):
        return []
    return [{"role": "system", "content": _text(row["system"], "system")}]


def _messages(value: Any, where: str) -> list[Message]:
    return [_message(message, f"{where}[{at}]") for at, message in enumerate(_list(value, where))]


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, dict):
        raise ValueError(f"{where} is {_short(message)}; wants an object with role and content")
    role = message.get("role")
    if role not in ROLES:
        raise ValueError(f"{where}.role is {_short(role)}; wants one of {', '.join(ROLES)}")
    calls = message.get("tool_calls")
    # OpenAI's newer name for it, which few chat templates know.
    read: dict[str, Any] = {"role": "system" if role == "developer" else role}
    if calls and role == "assistant":
        read["tool_calls"] = _calls(calls, f"{where}.tool_calls")
        read["content"] = _text(message["content"], where) if message.get("content") else ""
    else:
        read["content"] = _content(message.get("content"), f"{where}.content", role == "system")
    for key in ("name", "tool_call_id"):
        if isinstance(message.get(key), str):
            read[key] = message[key]
    return read


def _content(content: Any, where: str, may_be_empty: bool) -> str:
    """A text, or the text of OpenAI's list of parts."""
    if not isinstance(content, list):
        return "" if may_be_empty and content == "" else _text(content, where)
    parts = []
    for at, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text":
            raise ValueError(f"{where}[{at}] is {_short(kind or part)}; wants a part of type text")
        parts.append(_text(part.get("text"), f"{where}[{at}].text"))
    return _text("".join(parts), where)


def _calls(calls: Any, where: str) -> list[dict[str, Any]]:
    """Calls of functions, with their arguments as objects: chat templates write them out."""
    read = []
    for at, call in enumerate(_list(calls, where)):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise ValueError(f"{where}[{at}] is {_short(call)}; wants a function with a name")
        arguments = function.get("arguments", {})
        if isinstance(arguments, str):
            try:
                arguments = json.loads(arguments or "{}")
            except json.JSONDecodeError as error:
                raise ValueError(f"{where}[{at}].function.arguments is no JSON: {error}") from None
        read.append({**call, "function": {**function, "arguments": arguments}})
    return read


def _tools(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    tools = row.get("tools")
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except json.JSONDecodeError as error:
            raise ValueError(f"tools is no JSON: {error}") from None
    return tuple(_list(tools, "tools")) if tools else ()


def _shared(first: Sequence[Message], second: Sequence[Message]) -> int:
    """How many messages both begin with."""
    count = 0
    while count < min(len(first), len(second)) and first[count] == second[count]:
        count += 1
    return count


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is {_kind(value)}; wants a list")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where} is {_kind(value)}; wants text")
    if not value.strip():
        raise ValueError(f"{where} is empty; wants text")
    return value


def _keys(row: Mapping[str, Any]) -> str:
    return f"the keys {', '.join(sorted(row))}" if row else "no keys"


def _kind(value: Any) -> str:
    if value is None:
        return "missing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    return {**names, list: "a list", dict: "an object"}.get(type(value), type(value).__name__)


def _short(value: Any) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else f"{value[:39]}…")
    return _kind(value)


_READERS = (
    (("messages",), _from_messages),
    (("conversations",), _from_conversations),
    (("instruction", "output"), _from_instruction),
    (("prompt", "completion"), _from_prompt),
)

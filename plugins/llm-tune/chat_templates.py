"""The chat template of a model that brings none, and those of the tokenizer as functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rendering import Template
from rows import Conversation, Message

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
HEADINGS = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'assistant' %}"
    "{{ '### Assistant:\\n' + message['content'] + eos_token + '\\n\\n' }}"
    "{% else %}{{ '### ' + message['role'] | capitalize + ':\\n' + message['content'] + '\\n\\n' }}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Assistant:\\n' }}{% endif %}"
)


def default_template(vocabulary: Mapping[str, int]) -> tuple[str, str]:
    """A Jinja template and its name in words.

    ChatML where the tokenizer has its two marks; else headings in plain text, with the tokenizer's
    own end of text after each answer. No token is ever added: the model's embeddings stay as they
    are, so that adapters can be loaded beside the model.
    """
    if "<|im_start|>" in vocabulary and "<|im_end|>" in vocabulary:
        return CHATML, "ChatML, whose marks its tokenizer knows"
    return HEADINGS, "### User: and ### Assistant: as headings"


def template_of(tokenizer: Any, talk: Conversation) -> Template:
    """The tokenizer's chat template for one talk, with the tools that the talk may use."""

    def write(messages: Sequence[Message], opened: bool) -> str:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            tools=[dict(tool) for tool in talk.tools] or None,
            add_generation_prompt=opened,
            tokenize=False,
        )
        return text

    return write

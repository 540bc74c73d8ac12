"""Chat data in the common formats, and what is said of rows that cannot be used. Needs no torch."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workload_run import run

Modules = Callable[[str], Any]

QUESTION = {"role": "user", "content": "What is it?"}
ANSWER = {"role": "assistant", "content": "A box."}
WORSE = {"role": "assistant", "content": "Who knows."}
RULE = {"role": "system", "content": "Be short."}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("row", "messages"),
    [
        ({"messages": [QUESTION, ANSWER]}, [QUESTION, ANSWER]),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}, ANSWER]},
            [{"role": "user", "content": "Hi"}, ANSWER],
        ),
        ({"messages": [{**RULE, "role": "developer"}, QUESTION, ANSWER]}, [RULE, QUESTION, ANSWER]),
        (
            {
                "system": "Be short.",
                "conversations": [
                    {"from": "human", "value": "What is it?"},
                    {"from": "gpt", "value": "A box."},
                ],
            },
            [RULE, QUESTION, ANSWER],
        ),
        ({"instruction": "What is it?", "input": "", "output": "A box."}, [QUESTION, ANSWER]),
        (
            {"instruction": "Add.", "input": "1 and 2", "output": "3"},
            [{"role": "user", "content": "Add.\n\n1 and 2"}, {"role": "assistant", "content": "3"}],
        ),
        ({"prompt": "What is it?", "completion": "A box."}, [QUESTION, ANSWER]),
        ({"prompt": [RULE, QUESTION], "completion": [ANSWER]}, [RULE, QUESTION, ANSWER]),
    ],
)
def test_each_format_becomes_the_same_conversation(
    tune_module: Modules, row: dict[str, Any], messages: list[dict[str, Any]]
) -> None:
    talk = tune_module("rows").read_row(row, preferences=False)
    assert list(talk.messages) == messages
    assert list(talk.learned) == [message["role"] == "assistant" for message in messages]


def test_an_answer_of_weight_0_is_context_and_not_learned(tune_module: Modules) -> None:
    row = {"messages": [QUESTION, {**ANSWER, "weight": 0}, QUESTION, ANSWER]}
    talk = tune_module("rows").read_row(row, preferences=False)
    assert talk.learned == (False, False, False, True)


def test_a_call_of_a_function_keeps_its_arguments_as_an_object(tune_module: Modules) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = [
        QUESTION,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "3"},
        ANSWER,
    ]
    talk = tune_module("rows").read_row({"messages": messages, "tools": []}, preferences=False)
    assert talk.messages[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert talk.learned == (False, True, False, True)


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "What is it?", "chosen": "A box.", "rejected": "Who knows."},
        {"prompt": [QUESTION], "chosen": [ANSWER], "rejected": [WORSE]},
        {"chosen": [QUESTION, ANSWER], "rejected": [QUESTION, WORSE]},
        {"prompt": "What is it?", "chosen": [QUESTION, ANSWER], "rejected": [QUESTION, WORSE]},
    ],
)
def test_a_preference_has_one_question_and_two_answers(
    tune_module: Modules, row: dict[str, Any]
) -> None:
    pair = tune_module("rows").read_row(row, preferences=True)
    assert list(pair.chosen.messages) == [QUESTION, ANSWER]
    assert list(pair.rejected.messages) == [QUESTION, WORSE]
    assert pair.chosen.learned == pair.rejected.learned == (False, True)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ([1], "is a list; wants an object with messages"),
        ({"text": "hi"}, "has the keys text; wants messages"),
        ({"messages": "hi"}, "messages is text; wants a list"),
        ({"messages": []}, "messages is empty"),
        (
            {"messages": [QUESTION]},
            "ends with a message of user; wants the assistant's answer last",
        ),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role is 'robot'; wants"),
        ({"messages": [QUESTION, {"role": "assistant"}]}, "messages[1].content is missing"),
        ({"messages": [QUESTION, {**ANSWER, "content": " "}]}, "messages[1].content is empty"),
        (
            {"messages": [QUESTION, {**ANSWER, "weight": 2}]},
            "messages[1].weight is 2; wants 0 or 1",
        ),
        ({"messages": [QUESTION, {**ANSWER, "weight": 0}]}, "no answer of the assistant"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ANSWER]},
            "messages[0].content[0] is 'image_url'; wants a part of type text",
        ),
        ({"conversations": [{"from": "me", "value": "x"}]}, "conversations[0].from is 'me'"),
        ({"conversations": [{"who": "me"}]}, "wants an object with from and value"),
        ({"instruction": "Add."}, "has instruction but no output"),
        ({"instruction": "Add.", "output": 3}, "output is a number; wants text"),
        ({"prompt": "Hi"}, "has prompt but no completion"),
        ({"chosen": "a", "rejected": "b", "prompt": "c"}, "only --method dpo learns those"),
    ],
)
def test_a_bad_row_is_told_by_what_is_wrong_and_what_it_should_be(
    tune_module: Modules, row: Any, words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        tune_module("rows").read_row(row, preferences=False)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"messages": [QUESTION, ANSWER]}, "--method dpo wants prompt, chosen and rejected"),
        ({"prompt": "a", "chosen": "b"}, "has no rejected"),
        ({"prompt": "a", "chosen": "b", "rejected": "b"}, "chosen and rejected are the same"),
        ({"chosen": [QUESTION, ANSWER], "rejected": [ANSWER]}, "has no prompt"),
        ({"chosen": "a", "rejected": "b"}, "has no prompt"),
        (
            {"prompt": "a", "chosen": [QUESTION, ANSWER], "rejected": [QUESTION, WORSE]},
            "another talk",
        ),
    ],
)
def test_a_bad_pair_is_told_by_what_is_wrong(
    tune_module: Modules, row: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError) as caught:
        tune_module("rows").read_row(row, preferences=True)
    assert words in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("messages", "role", "content", "conversations", "from", "value", "weight"),
                    *("prompt", "completion", "chosen", "rejected", "instruction", "output"),
                    *("system", "tools", "tool_calls", "function", "type", "text", "input"),
                ]
            ),
            inner
            | st.sampled_from(["user", "assistant", "system", "tool", "human", "gpt", "text"]),
            max_size=4,
        )
    ),
    max_leaves=16,
)


@given(row=JSON, preferences=st.booleans())
def test_whatever_a_row_holds_it_is_used_or_told_in_words(
    tune_module: Modules, row: Any, preferences: bool
) -> None:
    try:
        lesson = tune_module("rows").read_row(row, preferences)
    except ValueError as error:
        assert str(error)
        return
    talks = [lesson.chosen, lesson.rejected] if preferences else [lesson]
    for talk in talks:
        assert talk.messages[-1]["role"] == "assistant"
        assert any(talk.learned) and len(talk.learned) == len(talk.messages)
        assert all(isinstance(message["content"], str) for message in talk.messages)


def test_lines_arrays_and_compressed_files_say_where_each_row_stands(
    tune_module: Modules, tmp_path: Path
) -> None:
    reading = tune_module("reading")
    row = {"messages": [QUESTION, ANSWER]}
    text = f"\ufeff{json.dumps(row)}\n\n{json.dumps(row)}\n"
    (tmp_path / "a.jsonl").write_text(text, encoding="utf-8")
    (tmp_path / "b.json").write_text(
        f"[\n  {json.dumps(row)},\n\n  {json.dumps(row, indent=2)}\n]\n"
    )
    (tmp_path / "c.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "notes.txt").write_text("not data")
    places = []
    for file in reading.files_of(tmp_path):
        for found in reading.rows_of(file):
            assert (found.value, found.problem) == (row, "")
            places.append(str(found.place))
    assert places == [
        "a.jsonl:1",
        "a.jsonl:3",
        "b.json:2",
        "b.json:4",
        "c.jsonl.gz:1",
        "c.jsonl.gz:3",
    ]


@given(
    values=st.lists(
        st.dictionaries(st.text(max_size=3), st.text(max_size=8), max_size=2), max_size=5
    ),
    indent=st.none() | st.integers(0, 3),
)
def test_an_array_reads_as_json_itself_reads_it(
    tune_module: Modules, tmp_path_factory: pytest.TempPathFactory, values: list[Any], indent: Any
) -> None:
    path = tmp_path_factory.mktemp("array") / "a.json"
    path.write_text(json.dumps(values, indent=indent), encoding="utf-8")
    rows = list(tune_module("reading").rows_of(path))
    assert [row.value for row in rows] == values
    assert not any(row.problem for row in rows)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": 1}\n{"a": \n', ["a.json:2: is no JSON: Expecting value at column 1"]),
        (b'{"a": "\xff"}\n', ["a.json:1: byte 0xff at 8 is no UTF-8"]),
        (
            b'[\n{},\n{"a" 1}]',
            ["a.json:3: is no JSON: Expecting ':' delimiter; the rest was not read"],
        ),
        (b"[\n{}\n{}]", ["a.json:3: is no JSON: wants , or ] here"]),
        (b"[\n{}]\n\n{}", ["a.json:4: stands after the end of the array"]),
        (b'[\n\n"\xff"]', ["a.json:3: byte 0xff is no UTF-8"]),
        (b"[" * 100_000, ["nested too deeply"]),
    ],
)
def test_what_is_no_json_is_told_by_its_line(
    tune_module: Modules, tmp_path: Path, data: bytes, told: list[str]
) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(data)
    rows = [row for row in tune_module("reading").rows_of(path) if row.problem]
    assert len(rows) == len(told)
    for row, words in zip(rows, told, strict=True):
        assert words in f"{row.place}: {row.problem}"


def test_all_bad_rows_are_counted_the_first_ten_shown_and_the_code_is_2(tmp_path: Path) -> None:
    good = {"prompt": "Hi", "completion": "Hello"}
    data = lines(tmp_path / "chats.jsonl", good, *[{"prompt": "Hi"}] * 14)
    ended = run(
        "llm-tune", [sys.executable, "workload.py"], tmp_path / "job", model="x", data=str(data)
    )
    assert ended.code == 2
    (words,) = ended.messages()
    assert words.startswith("14 of 15 rows cannot be used:")
    assert [
        f"chats.jsonl:{line}: has prompt but no completion" in words for line in range(2, 13)
    ] == [
        *([True] * 10),
        False,
    ]
    assert "… and 4 more" in words
    assert "--skip-bad" in words
    assert "Traceback" not in ended.log


def test_bad_rows_can_be_left_out(tmp_path: Path) -> None:
    data = lines(
        tmp_path / "chats.jsonl", {"prompt": "Hi", "completion": "Hello"}, {"prompt": "Hi"}
    )
    ended = run(
        "llm-tune",
        [sys.executable, "workload.py"],
        tmp_path / "job",
        model=str(tmp_path / "no model"),
        data=str(data),
        skip_bad=True,
    )
    words, refusal = ended.messages()
    assert words.startswith("1 of 2 rows cannot be used:") and words.endswith("They are left out.")
    assert "There is no model folder" in refusal


@given(count=st.integers(1, 60), share=st.floats(0.0, 0.5), seed=st.integers(0, 5))
def test_what_is_held_out_is_never_learned(
    tune_module: Modules, count: int, share: float, seed: int
) -> None:
    dataset, rows = tune_module("dataset"), tune_module("rows")
    place = tune_module("reading").Place(Path("a.jsonl"), 1)
    examples = [
        dataset.Example(
            place, rows.read_row({"prompt": f"{at % 20}", "completion": "x"}, preferences=False)
        )
        for at in range(count)
    ]
    learn, held = dataset.hold_out(examples, share, seed)
    assert len(learn) + len(held) == count
    assert not {repr(each.lesson) for each in learn} & {repr(each.lesson) for each in held}
    assert bool(held) == (share > 0 and min(count, 20) >= 10)
    assert dataset.hold_out(examples, share, seed) == (learn, held)


def test_the_examples_that_are_shipped_are_good_data(tune_module: Modules) -> None:
    dataset = tune_module("dataset")
    learn = dataset.read_examples(dataset.EXAMPLE, preferences=False)
    asked = dataset.read_examples(dataset.HELD_OUT_EXAMPLE, preferences=False)
    pairs = dataset.read_examples(dataset.PAIRS, preferences=True)
    assert not [*learn.problems, *asked.problems, *pairs.problems]
    answers = {each.lesson.messages[-1]["content"] for each in learn.examples}
    questions = {each.lesson.messages[0]["content"] for each in learn.examples}
    for each in asked.examples:
        assert each.lesson.messages[-1]["content"] in answers, "only the question is a new one"
        assert each.lesson.messages[0]["content"] not in questions

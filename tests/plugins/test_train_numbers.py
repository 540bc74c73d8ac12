"""The numbers of pre-training against plain definitions. Needs torch, transformers and pyarrow."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    for needed in ("torch", "transformers", "pyarrow"):
        pytest.importorskip(needed, reason=f"pre-training is checked with {needed}")

Modules = Callable[[str], Any]
WITHIN_A_MODULE = settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)


@pytest.fixture(scope="module")
def tokenizer(train_module: Modules) -> Any:
    return train_module("vocabulary").train(["the sky is blue and the grass is green " * 20], 300)


def small(modules: Modules, **changed: Any) -> Any:
    values = {"layers": 2, "width": 64, "heads": 4, "kv_heads": 2, "inner": 128}
    return modules("sizes").Shape(**{**values, "vocabulary": 300, "sequence": 48, **changed})


@pytest.mark.parametrize("grouped", [True, False])
def test_the_model_that_is_left_has_the_same_logits_under_transformers(
    train_module: Modules, tokenizer: Any, tmp_path: Path, grouped: bool
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

    vocabulary = tokenizer.get_vocab_size()
    shape = small(train_module, kv_heads=2 if grouped else 4, vocabulary=vocabulary)
    torch.manual_seed(1)
    own = train_module("model").Llama(shape)
    with torch.no_grad():
        for each in own.parameters():
            # Far from its begin, and with bits that bfloat16 keeps.
            each.add_(torch.randn_like(each) * 0.3).copy_(each.bfloat16())
    train_module("outputs").write(tmp_path, own, tokenizer, "A test.")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path, dtype=torch.float32)
    assert isinstance(theirs, LlamaForCausalLM)
    assert sum(each.numel() for each in theirs.parameters()) == shape.parameters
    ids = torch.randint(vocabulary, (3, 48))
    with torch.no_grad():
        expected = theirs(ids).logits
        torch.testing.assert_close(own.logits(ids), expected, atol=2e-4, rtol=2e-4)
        loss = own(ids[:, :-1], ids[:, 1:]) / (3 * 47)
        torch.testing.assert_close(loss, theirs(input_ids=ids, labels=ids).loss)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    talk = [{"role": "user", "content": "the sky"}]
    text = loaded.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    assert text == "<|im_start|>user\nthe sky<|im_end|>\n<|im_start|>assistant\n"
    ends = [tokenizer.token_to_id(mark) for mark in ("<|endoftext|>", "<|im_end|>")]
    assert theirs.generation_config.eos_token_id == ends
    assert loaded(text)["input_ids"] == tokenizer.encode(text).ids
    assert loaded.eos_token_id == ends[0] and len(loaded) == vocabulary


@WITHIN_A_MODULE
@given(text=st.text(max_size=80))
def test_any_text_comes_back_from_its_tokens(
    train_module: Modules, tokenizer: Any, text: str
) -> None:
    text = text.encode("utf-8", "ignore").decode()
    plain = train_module("vocabulary").plain_encoder(tokenizer)
    for written in (text, f"{text}<|im_end|>{text}"):
        (ids,) = train_module("vocabulary").encode(plain, [written])
        assert tokenizer.decode(ids, skip_special_tokens=False) == written
        assert not set(ids) & {0, 1, 2, 3}, "a text cannot forge a mark"


def test_a_tokenizer_is_learned_and_one_that_is_brought_gets_the_marks(
    train_module: Modules, tokenizer: Any, tmp_path: Path
) -> None:
    from tokenizers import Tokenizer, models

    assert len(tokenizer.encode(" grass").ids) == 1 and len(tokenizer.encode(" zebra").ids) > 2
    Tokenizer(models.BPE({"a": 0, "b": 1}, [])).save(str(tmp_path / "tokenizer.json"))
    loaded = train_module("vocabulary").load(tmp_path)
    assert [loaded.token_to_id(mark) for mark in train_module("vocabulary").MARKS] == [2, 3, 4, 5]
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="cannot be used as a tokenizer"):
        train_module("vocabulary").load(tmp_path)


def test_the_operations_are_their_definitions_in_float64(
    train_module: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    operations = train_module("operations")
    torch.manual_seed(2)
    hidden, weight = torch.randn(37, 16), torch.randn(53, 16)
    targets = torch.randint(53, (37,))
    expected_on = [each.double().requires_grad_() for each in (hidden, weight)]
    logits = expected_on[0] @ expected_on[1].T
    expected = (logits.logsumexp(-1) - logits[torch.arange(37), targets]).sum()
    expected.backward()
    for at_once in (1 << 27, 53 * 5):
        monkeypatch.setattr(operations, "LOGITS_AT_ONCE", at_once)
        own = [each.clone().requires_grad_() for each in (hidden, weight)]
        loss = operations.linear_cross_entropy(*own, targets)
        loss.backward()
        torch.testing.assert_close(loss.double(), expected, rtol=1e-6, atol=0)
        for each, right in zip(own, expected_on, strict=True):
            torch.testing.assert_close(each.grad.double(), right.grad, rtol=1e-4, atol=1e-5)
    total, normed = operations.add_rms_norm(hidden, 2 * hidden, weight[0], 1e-5)
    three = 3 * hidden.double()
    root = (three.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(total.double(), three)
    torch.testing.assert_close(normed.double(), three / root * weight[0], atol=1e-5, rtol=1e-5)
    gate = hidden.double()
    silu = gate / (1 + (-gate).exp())
    torch.testing.assert_close(operations.swiglu(hidden, hidden).double(), silu * gate)


def test_rope_turns_each_pair_by_its_place(train_module: Modules) -> None:
    import torch

    own = train_module("model").Llama(small(train_module))
    query = torch.randn(1, 4, 48, 16)
    turned, _ = train_module("operations").rope(query, query, own.cosine, own.sine)
    first, second = query.double().chunk(2, -1)
    angle = torch.arange(48.0).double()[:, None] * 10_000.0 ** (-torch.arange(0, 16, 2) / 16.0)
    expected = torch.complex(first, second) * torch.polar(torch.ones_like(angle), angle)
    both = torch.cat((expected.real, expected.imag), -1)
    torch.testing.assert_close(turned.double(), both, atol=1e-5, rtol=1e-5)


def test_muon_and_adamw_do_what_their_definitions_say_in_float64(train_module: Modules) -> None:
    import torch

    own = train_module("model").Llama(small(train_module))
    optimizer = train_module("optimizers").Optimizers(own, "muon", 0.02, 0.1, fused=False)
    before = {name: each.detach().double() for name, each in own.named_parameters()}
    momentum = {name: torch.zeros_like(each) for name, each in before.items()}
    expected, torch_dice = dict(before), torch.Generator().manual_seed(3)
    mean, square = dict(momentum), dict(momentum)
    for step in range(1, 4):
        for name, each in own.named_parameters():
            each.grad = torch.randn(each.shape, generator=torch_dice)
            gradient = each.grad.double()
            is_matrix = each.dim() == 2
            kept = expected[name] * (1 - 0.5 * 0.02 * (0.1 if is_matrix else 0.0))
            if is_matrix and "embed" not in name:
                momentum[name] = 0.95 * momentum[name] + 0.05 * gradient
                looked_ahead = 0.05 * gradient + 0.95 * momentum[name]
                length = 0.2 * max(each.shape) ** 0.5
                moved = length * newton_schulz(looked_ahead)
            else:
                mean[name] = 0.9 * mean[name] + 0.1 * gradient
                square[name] = 0.95 * square[name] + 0.05 * gradient**2
                root = (square[name] / (1 - 0.95**step)).sqrt() + 1e-8
                moved = mean[name] / (1 - 0.9**step) / root
            expected[name] = kept - 0.5 * 0.02 * moved
        assert optimizer.step(0.5) == pytest.approx(0.01)
    for name, each in own.named_parameters():
        moved, right = each.detach().double() - before[name], expected[name] - before[name]
        # Muon's products are made in bfloat16.
        assert (moved - right).norm() < (0.03 if each.dim() == 2 else 1e-4) * right.norm(), name


def newton_schulz(matrix: Any) -> Any:
    """Five steps towards the nearest orthogonal matrix, with Jordan's coefficients."""
    near = matrix / matrix.norm()
    near = near.T if matrix.shape[0] > matrix.shape[1] else near
    for _ in range(5):
        product = near @ near.T
        near = 3.4445 * near + (-4.7750 * product + 2.0315 * product @ product) @ near
    return near.T if matrix.shape[0] > matrix.shape[1] else near


def test_recomputing_activations_changes_no_gradient(train_module: Modules) -> None:
    import torch

    gradients = []
    for recompute in (False, True):
        torch.manual_seed(4)
        own = train_module("model").Llama(small(train_module), recompute)
        ids = torch.randint(300, (2, 48))
        own(ids[:, :-1], ids[:, 1:]).backward()
        gradients.append([each.grad for each in own.parameters()])
    torch.testing.assert_close(*gradients)


@WITHIN_A_MODULE
@given(rows=st.integers(1, 40), group=st.integers(1, 15), size=st.integers(1, 9))
def test_rows_of_parquet_go_on_from_any_place(
    train_module: Modules, tmp_path: Path, rows: int, group: int, size: int
) -> None:
    import pyarrow
    import pyarrow.parquet

    documents = train_module("documents")
    written = [f"row {at}" if at % 7 != 6 else None for at in range(rows)]
    table = pyarrow.table({"other": list(range(rows)), "text": written})
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(table, path, row_group_size=group)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PARQUET_ROWS", size)
        read = list(documents.pieces_of([path], "text"))
        assert [piece.text for piece in read] == [text or "" for text in written]
        bad = [piece.problem for piece in read if piece.problem]
        assert len(bad) == written.count(None)
        assert not bad or bad[0].startswith("rows.parquet row 7: has no 'text'")
        for at, piece in enumerate(read):
            assert list(documents.pieces_of([path], "text", piece.after)) == read[at + 1 :]
    with pytest.raises(ValueError, match="no column 'words', only other, text"):
        list(documents.pieces_of([path], "words"))

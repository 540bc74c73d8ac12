"""The numbers of fine-tuning against plain definitions. Needs torch and transformers."""

from __future__ import annotations

import math
import os
import sys
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.heavy

if os.environ.get("COCKPIT_REQUIRE_HEAVY") != "1":
    pytest.importorskip("peft", reason="fine-tuning needs torch, transformers and peft")

Modules = Callable[[str], Any]
MANIFEST = Path(__file__).parents[2] / "plugins" / "llm-tune" / "plugin.toml"
SAID = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()))


def choice(**changed: Any) -> dict[str, Any]:
    """What a person has chosen who changed these of the defaults."""
    parameters = tomllib.loads(MANIFEST.read_text(encoding="utf-8"))["parameters"]
    return {name: entry.get("default") for name, entry in parameters.items()} | changed


@pytest.fixture(scope="module")
def tiny(tune_module: Modules, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tune_module("tiny_model").make_tiny_model(tmp_path_factory.mktemp("tiny") / "m")
    return folder


@pytest.fixture(scope="module")
def model(tiny: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny)


def samples(modules: Modules, count: int = 3) -> list[Any]:
    """Texts of unlike lengths, of which the later half is learned."""
    sample = modules("tokens").Sample
    made = []
    for at in range(count):
        length = 6 + 5 * at
        ids = array("i", [(7 * at + 11 * place) % 250 + 3 for place in range(length)])
        made.append(
            sample(ids, bytes(int(place >= length // 2) for place in range(length)), length)
        )
    return made


def test_answers_are_as_probable_as_the_model_says(tune_module: Modules, model: Any) -> None:
    import torch

    scoring = tune_module("scoring")
    some = samples(tune_module)
    found = scoring.Scorer(model)(*scoring.Batch(some, 0, "cpu").tensors)
    for row, sample in zip(found.tolist(), some, strict=True):
        logits = model(torch.tensor([list(sample.ids)])).logits[0].double()
        known = torch.log_softmax(logits, dim=-1)
        wanted = sum(
            known[at - 1, sample.ids[at]].item()
            for at in range(1, len(sample.ids))
            if sample.learned[at]
        )
        assert row == pytest.approx(wanted, rel=1e-4), "padding and what is not learned say nothing"


def test_logits_made_in_pieces_have_the_same_gradients(
    tune_module: Modules, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = tune_module("scoring")
    batch = scoring.Batch(samples(tune_module), 0, "cpu")
    gradients = []
    for pieces, whole in ((1024, False), (4, False), (1024, True)):
        monkeypatch.setattr(scoring, "CHUNK_TOKENS", pieces)
        model.zero_grad()
        scoring.Scorer(model, whole_logits=whole)(*batch.tensors).sum().backward()
        gradients.append([each.grad.clone() for each in model.parameters()])
    for other in gradients[1:]:
        for one, more in zip(gradients[0], other, strict=True):
            assert (one - more).abs().max() <= 1e-4 * one.abs().max() + 1e-7


def test_a_head_that_does_more_than_a_product_is_noticed(
    tune_module: Modules, tmp_path: Path
) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    scoring = tune_module("scoring")
    sizes = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "head_dim": 16}
    config = Gemma2Config(
        vocab_size=259, num_attention_heads=2, num_key_value_heads=1, **sizes, pad_token_id=0
    )
    config.final_logit_softcapping = 0.05
    capped = Gemma2ForCausalLM(config).eval()
    batch = scoring.Batch(samples(tune_module), 0, "cpu")
    assert scoring.needs_whole_logits(capped, batch)
    config.final_logit_softcapping = None
    assert not scoring.needs_whole_logits(Gemma2ForCausalLM(config).eval(), batch)


FIGURES = st.lists(st.floats(-50.0, 0.0), min_size=4, max_size=4)


@given(figures=FIGURES, beta=st.floats(0.01, 1.0))
def test_the_loss_of_a_pair_is_that_of_the_paper(
    tune_module: Modules, figures: list[float], beta: float
) -> None:
    import torch

    chosen, rejected, chosen_before, rejected_before = (
        torch.tensor([each], dtype=torch.float64) for each in figures
    )
    loss, margin = tune_module("scoring").preference(
        chosen, rejected, chosen_before, rejected_before, beta
    )
    # Each answer's implicit reward is beta log(pi / pi_ref); the loss that of Bradley and Terry.
    rewards = [beta * (figures[at] - figures[at + 2]) for at in (0, 1)]
    share = math.exp(rewards[0]) / (math.exp(rewards[0]) + math.exp(rewards[1]))
    assert loss.item() == pytest.approx(-math.log(share), rel=1e-6, abs=1e-9)
    assert margin.item() == pytest.approx(rewards[0] - rewards[1], abs=1e-9)


TALKS = st.lists(st.tuples(SAID, SAID), min_size=1, max_size=3)


@pytest.mark.parametrize("marks", ["ChatML", "headings"])
@settings(max_examples=60)
@given(talk=TALKS)
def test_with_a_real_tokenizer_and_template_the_learned_tokens_are_the_answers(
    tune_module: Modules, tiny: Path, marks: str, talk: list[tuple[str, str]]
) -> None:
    templates = tune_module("chat_templates")
    tokenizer = tune_module("models").load_tokenizer(tiny, tell=False)
    tokenizer.chat_template = templates.CHATML if marks == "ChatML" else templates.HEADINGS
    messages = []
    for question, answer in talk:
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    lesson = tune_module("rows").read_row({"messages": messages}, preferences=False)
    place = tune_module("reading").Place(Path("a"), 1)
    example = tune_module("dataset").Example(place, lesson)
    writer = tune_module("lessons").Writer(tokenizer, 10_000, plain=False)
    (written,) = writer.write_all([example]).kept
    (sample,) = written.samples
    learned = [one for one, kept in zip(sample.ids, sample.learned, strict=True) if kept]
    wanted = "".join(f"{answer}<|im_end|>" for _, answer in talk)
    assert tokenizer.decode(learned) == wanted
    whole = tokenizer.apply_chat_template(messages, tokenize=False)
    assert tokenizer.decode(sample.ids) == whole
    assert list(sample.ids) == tokenizer(whole, add_special_tokens=False)["input_ids"]


def test_the_learning_rate_rises_straight_and_falls_along_half_a_cosine(
    tune_module: Modules,
) -> None:
    chosen = choice(steps=100, learning_rate=1.0, warmup=10.0)
    recipe = tune_module("choices").recipe_of(chosen, 7)
    rate = tune_module("training").learning_rate
    rates = [rate(recipe, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[10:] == sorted(rates[10:], reverse=True) and 0 < rates[-1] < 0.001
    by_epochs = tune_module("choices").recipe_of({**chosen, "steps": 0, "epochs": 3.0}, 7)
    assert by_epochs.steps == 21


@pytest.mark.parametrize(
    ("method", "free_gb", "device", "words"),
    [
        ("full", 79.0, "cuda:0", "--method lora takes about 16 GB"),
        ("full", 12.0, "cuda:0", "--method qlora takes about 5.6 GB"),
        ("lora", 12.0, "cuda:0", "--method qlora takes about 5.6 GB"),
        ("lora", 12.0, "cpu", "choose a smaller model"),
        ("qlora", 3.0, "cuda:0", "choose a smaller model"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_nearest_that_does(
    tune_module: Modules, method: str, free_gb: float, device: str, words: str
) -> None:
    memory, choices = tune_module("memory"), tune_module("choices")
    chosen = choice(method=method)
    recipe = choices.recipe_of(chosen, 1)
    with pytest.raises(ValueError, match="8,000 M parameters") as caught:
        memory.check(8_000_000_000, recipe, device != "cpu", device, free_gb * 1e9)
    assert words in str(caught.value)
    memory.check(8_000_000_000, recipe, device != "cpu", device, 140e9)


def test_parquet_reads_as_lines_do_and_leaves_out_what_is_null(
    tune_module: Modules, tmp_path: Path
) -> None:
    import pyarrow
    import pyarrow.parquet

    said = [{"role": "user", "content": "Hi", "name": None}, {"role": "assistant", "content": "Ho"}]
    rows = [{"messages": said, "prompt": None}, {"messages": None, "prompt": "Hi"}] * 600
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    read = tune_module("dataset").read_examples(tmp_path, preferences=False)
    assert len(read.examples) == len(read.problems) == 600
    assert read.examples[0].lesson.messages[1] == {"role": "assistant", "content": "Ho"}
    assert str(read.problems[-1]) == "a.parquet row 1,200: has prompt but no completion"
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match=r"b\.parquet cannot be read"):
        tune_module("dataset").read_examples(tmp_path, preferences=False)


def test_the_parameters_are_counted_without_loading_the_model(
    tune_module: Modules, tiny: Path, model: Any
) -> None:
    assert tune_module("memory").count_parameters(tiny) == model.num_parameters()

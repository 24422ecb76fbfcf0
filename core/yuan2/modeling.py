"""Yuan 2.0 for transformers 5: attention whose queries and keys see a locally filtered input (arXiv 2311.15786)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.modeling_layers import GenericForSequenceClassification, GradientCheckpointingLayer
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, slice_logits_to_keep
from transformers.utils import can_return_tuple
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs

from core.yuan2 import documents
from core.yuan2.configuration import YuanConfig
from core.yuan2.layers import LocalizedFiltering, YuanRMSNorm, YuanRotaryEmbedding, rotate
from core.yuan2.linear import stream_linears


def eager_attention_forward(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Attention written out; (batch, heads, time, head_dim) in, (batch, time, heads, head_dim) and the weights out."""
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = scores.softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    weights = nn.functional.dropout(weights, dropout, module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


class YuanAttention(nn.Module):
    """Attention whose queries and keys come from the filtered input and whose values come from the plain one."""

    def __init__(self, config: YuanConfig, layer_idx: int) -> None:
        super().__init__()
        self.config, self.layer_idx = config, layer_idx
        self.head_dim = config.head_dim
        self.scaling = self.head_dim**-0.5
        self.is_causal = True
        size = config.hidden_size
        self.v_proj = nn.Linear(size, size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)
        if config.use_shareqk:
            self.qk_proj = nn.Linear(size, size, bias=False)
            self.qk_weight = nn.Parameter(torch.ones(2, size))
            self.qk_bias = nn.Parameter(torch.zeros(2, size))
        else:
            self.lf_gate = LocalizedFiltering(size, config.rms_norm_eps)
            self.q_proj = nn.Linear(size, size, bias=False)
            self.k_proj = nn.Linear(size, size, bias=False)

    def forward(
        self,
        hidden_states: torch.Tensor,
        position_embeddings: tuple[torch.Tensor, torch.Tensor],
        attention_mask: torch.Tensor | None = None,
        has_previous: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        batch, time, _ = hidden_states.shape
        query, key = self._queries_and_keys(hidden_states, has_previous, past_key_values)
        value = self.v_proj(hidden_states).view(batch, time, -1, self.head_dim).transpose(1, 2)
        cos, sin = position_embeddings
        query, key = rotate(query.transpose(1, 2), cos, sin), rotate(key.transpose(1, 2), cos, sin)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        out, weights = attend(self, query, key, value, attention_mask, dropout=0.0, scaling=self.scaling, **kwargs)
        return self.o_proj(out.reshape(batch, time, -1)), weights

    def _queries_and_keys(
        self, x: torch.Tensor, has_previous: torch.Tensor | None, cache: Cache | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Queries and keys, (batch, time, heads, head_dim) each."""
        batch, time, _ = x.shape
        if self.config.use_shareqk:
            both = self.qk_proj(x).unsqueeze(-2) * self.qk_weight + self.qk_bias
            query, key = both.unbind(-2)
            return query.view(batch, time, -1, self.head_dim), key.view(batch, time, -1, self.head_dim)
        x = self.lf_gate(x, has_previous, cache, self.layer_idx)
        # Not what the names say: each head's slice of the two outputs laid end to end holds its query, then its key.
        # So the first half of the heads lives wholly in q_proj, the second in k_proj.
        both = torch.cat((self.q_proj(x), self.k_proj(x)), dim=-1).view(batch, time, -1, 2 * self.head_dim)
        query, key = both.chunk(2, dim=-1)
        return query, key


class YuanMLP(nn.Module):
    """Gated feed-forward; the activation sits on ``up_proj``, not on ``gate_proj``."""

    def __init__(self, config: YuanConfig) -> None:
        super().__init__()
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)
        self.act_fn = ACT2FN[config.hidden_act]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(self.gate_proj(x) * self.act_fn(self.up_proj(x)))


class YuanDecoderLayer(GradientCheckpointingLayer):
    """Attention, then feed-forward, each on a normalised input and added to the residual stream."""

    def __init__(self, config: YuanConfig, layer_idx: int) -> None:
        super().__init__()
        self.self_attn = YuanAttention(config, layer_idx)
        self.mlp = YuanMLP(config)
        self.input_layernorm = YuanRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = YuanRMSNorm(config.hidden_size, config.rms_norm_eps)

    def forward(self, hidden_states: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        attended, _ = self.self_attn(self.input_layernorm(hidden_states), **kwargs)
        hidden_states = hidden_states + attended
        return hidden_states + self.mlp(self.post_attention_layernorm(hidden_states))


class YuanPreTrainedModel(PreTrainedModel):
    """What all Yuan models share: names, abilities, and how fresh weights are drawn."""

    config_class = YuanConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["YuanDecoderLayer"]
    _skip_keys_device_placement = ["past_key_values"]
    _supports_sdpa = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True
    _can_record_outputs = {"hidden_states": YuanDecoderLayer, "attentions": YuanAttention}

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """As for every transformers model; what is still a plain linear layer afterwards is made fast on a CPU."""
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # (model, info) where info was asked for
        stream_linears(model)
        if model.can_generate() and kwargs.get("generation_config") is None and model.config.use_cache:
            # transformers reads it from the published config.json itself, past YuanConfig, which has dropped it.
            model.generation_config.use_cache = None
        return loaded

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, YuanAttention) and module.config.use_shareqk:
            init.ones_(module.qk_weight)
            init.zeros_(module.qk_bias)


class YuanModel(YuanPreTrainedModel):
    """Token ids → the last hidden states."""

    def __init__(self, config: YuanConfig) -> None:
        super().__init__(config)
        # Padding is <eod>, so as in the published model an input <eod> is seen but its row learns only from the head.
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size, config.pad_token_id)
        self.layers = nn.ModuleList([YuanDecoderLayer(config, i) for i in range(config.num_hidden_layers)])
        self.norm = YuanRMSNorm(config.hidden_size, config.rms_norm_eps)
        self.rotary_emb = YuanRotaryEmbedding(config)
        self.gradient_checkpointing = False
        self.post_init()

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Run all layers.

        Args:
            input_ids: (batch, time); or ``inputs_embeds``, (batch, time, hidden), in which no ``<eod>`` can be seen.
            attention_mask: (batch, past + time), 0 for padding; or masks from ``create_masks_for_generate``.
            position_ids: (batch, time); counted along the mask where missing. Without mask and cache, positions that
                start again mark packed documents: they neither attend nor filter across the border.
            past_key_values: a cache made with this model's config; a new one where ``use_cache`` asks for it.
            kwargs: ``cu_seq_lens_q``, the borders of packed documents, stands for such positions.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("Give exactly one of input_ids and inputs_embeds.")
        if inputs_embeds is None:
            inputs_embeds = self.embed_tokens(input_ids)
        if position_ids is None:
            position_ids = documents.positions(
                inputs_embeds, attention_mask, past_key_values, kwargs.get("cu_seq_lens_q")
            )
        began = documents.Began.read(self.config, input_ids, past_key_values)
        if isinstance(attention_mask, dict):  # made outside of a compiled step
            mask, has_previous = attention_mask["attention"], attention_mask["has_previous"]
        else:
            mask = documents.causal_mask(
                self.config, inputs_embeds, attention_mask, past_key_values, position_ids, began and began.visible
            )
            has_previous = documents.has_previous(inputs_embeds, attention_mask, past_key_values, position_ids)
        # Not before the masks: a cache that is already there says that this continues something.
        if use_cache and past_key_values is None:
            past_key_values = DynamicCache(config=self.config)

        hidden_states = inputs_embeds
        position_embeddings = self.rotary_emb(hidden_states, position_ids)
        for layer in self.layers:
            hidden_states = layer(
                hidden_states,
                position_embeddings=position_embeddings,
                attention_mask=mask,
                has_previous=has_previous,
                past_key_values=past_key_values,
                **kwargs,
            )
        if began is not None and past_key_values is not None:
            began.remember(past_key_values)
        return BaseModelOutputWithPast(last_hidden_state=self.norm(hidden_states), past_key_values=past_key_values)


class YuanForCausalLM(YuanPreTrainedModel, GenerationMixin):
    """Yuan 2.0 with its language model head, tied to the embedding in the published models."""

    _tied_weights_keys = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: YuanConfig) -> None:
        super().__init__(config)
        self.model = YuanModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.LongTensor | None = None,
        attention_mask: torch.Tensor | dict[str, torch.Tensor] | None = None,
        position_ids: torch.LongTensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.FloatTensor | None = None,
        labels: torch.LongTensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """As :meth:`YuanModel.forward`, and the logits (batch, time, vocabulary).

        Args:
            labels: (batch, time), -100 where nothing is to be learned; adds the mean cross-entropy in nats.
            logits_to_keep: only the last so many positions (0: all), or their indices.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        logits = self.lm_head(slice_logits_to_keep(outputs.last_hidden_state, logits_to_keep))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def move_cache(self, cache: Cache, by: int) -> None:
        """Move what a cache of this model holds to the right by so many tokens of left padding, in place."""
        for layer in cache.layers:
            layer.keys, layer.values = (
                nn.functional.pad(states, (0, 0, by, 0)) for states in (layer.keys, layer.values)
            )
            documents.Began.move(self.config, layer, by)

    @staticmethod
    def create_masks_for_generate(
        config: YuanConfig,
        inputs_embeds: torch.Tensor,
        attention_mask: torch.Tensor | None,
        past_key_values: Cache,
        position_ids: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor | dict[str, torch.Tensor] | None:
        """The masks of a decoding step with a static cache, made outside of the compiled graph: its width is fixed.

        A longer step (prefill, which is not compiled) keeps its two-dimensional mask: where documents begin inside it
        is only seen with the tokens.
        """
        if inputs_embeds.shape[1] > 1:
            return attention_mask
        began = documents.Began.recall(config, past_key_values)
        mask = documents.causal_mask(config, inputs_embeds, attention_mask, past_key_values, position_ids, began)
        has_previous = documents.has_previous(inputs_embeds, attention_mask, past_key_values, position_ids)
        if has_previous is not None:  # with strides of its own: a view's would tell the graph how long the mask is
            has_previous = has_previous.clone(memory_format=torch.contiguous_format)
        return {"attention": mask, "has_previous": has_previous}


class YuanForSequenceClassification(GenericForSequenceClassification, YuanPreTrainedModel):
    """Yuan 2.0 with a classification head on the last token that is not padding."""

"""Yuan 2.0 for current transformers; importing it teaches the Auto classes the published checkpoints.

Written from the architecture (arXiv 2311.15786) and proved against outputs of the published implementation.
Knows nothing of the rest of the project.
"""

from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
from transformers.models.auto import tokenization_auto

from core.yuan2.configuration import YuanConfig
from core.yuan2.modeling import YuanForCausalLM, YuanForSequenceClassification, YuanModel
from core.yuan2.tokenization import YuanTokenizer

__all__ = ["YuanConfig", "YuanForCausalLM", "YuanForSequenceClassification", "YuanModel", "YuanTokenizer"]

AutoConfig.register("yuan", YuanConfig, exist_ok=True)
AutoModel.register(YuanConfig, YuanModel, exist_ok=True)
AutoModelForCausalLM.register(YuanConfig, YuanForCausalLM, exist_ok=True)
AutoModelForSequenceClassification.register(YuanConfig, YuanForSequenceClassification, exist_ok=True)
AutoTokenizer.register(YuanConfig, tokenizer_class=YuanTokenizer, exist_ok=True)
# The published directories name the Llama tokenizer, whose ids are others today: the model type decides instead.
tokenization_auto.TOKENIZER_MAPPING_NAMES["yuan"] = YuanTokenizer.__name__
tokenization_auto.MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS.add("yuan")

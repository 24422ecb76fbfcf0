"""The likelihood of an answer, worked out by a single forward pass of a model of its own."""

from pathlib import Path

from core.generation.prompts import conversation, encode


def alone(folder: Path, question: str, answer: str, adapter: Path | None = None) -> list[float]:
    """Logarithms of each token's probability, without a batch, padding, mask or cut logits."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    prompt, said = encode(tokenizer, conversation(question)), tokenizer(answer)["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, *said]])).logits[0].log_softmax(-1)
    return [float(logits[len(prompt) + place - 1, token]) for place, token in enumerate(said)]

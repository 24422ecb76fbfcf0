"""Yuan Lab: see what retrieval, prompting and LoRA fine-tuning each do to a small language model."""

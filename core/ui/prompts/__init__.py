"""The Prompts page: strategies side by side on one input, and the editor of their templates."""

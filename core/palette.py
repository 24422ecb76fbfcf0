"""The fixed colours, the same on screen, in charts and in reports."""

# The 2x2 bench: base / fine-tuned × without / with knowledge base, as (light, dark).
ARMS = {
    "base": ("#64748B", "#94A3B8"),
    "base_rag": ("#2563EB", "#60A5FA"),
    "tuned": ("#B45309", "#FBBF24"),
    "tuned_rag": ("#0F766E", "#2DD4BF"),
}

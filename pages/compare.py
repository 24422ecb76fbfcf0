"""Compare: models, knowledge base and prompts on the same test rows, with the uncertainty shown."""

from core.ui import compare_view, shell

shell.enter("comparison")
compare_view.page()

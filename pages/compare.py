"""Compare: models, knowledge base and prompts on the same test rows, with the uncertainty shown."""

from core.ui import shell
from core.ui.compare import compare_view

shell.enter("comparison")
compare_view.page()

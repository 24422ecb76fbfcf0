"""The rows of the data set rag-qa-zh as conversations, as the adapter in this folder was trained on them.

    python -m assets.adapters.rag-qa-zh.conversations FOLDER     (or: python assets/adapters/rag-qa-zh/conversations.py)

Several questions about one passage become turns of one conversation: the passage is read once for all of them, and a
step learns two to three times as many answers in the same time. The first turn is word for word what the app asks with
a passage. Writes train.jsonl (conversations) into FOLDER.
"""

import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
SEED = 7
LATER = "问题：{question}\n请基于背景，回答问题。"


def conversations(rows: list[dict[str, str]]) -> list[dict[str, list[dict[str, str]]]]:
    """One conversation per passage, questions and passages in an order drawn with ``SEED``."""
    from core.generation.prompts import with_context

    draw = random.Random(SEED)
    by_context: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        by_context.setdefault(row["context"], []).append(row)
    made = []
    for context, asked in by_context.items():
        draw.shuffle(asked)
        messages = []
        for number, row in enumerate(asked):
            question = row["question"]
            said = LATER.format(question=question) if number else with_context(question, [context])
            messages += [{"role": "user", "content": said}, {"role": "assistant", "content": row["answer"]}]
        made.append({"messages": messages})
    draw.shuffle(made)
    # A passage for one question costs as much to read and teaches half.
    return [row for row in made if len(row["messages"]) > 2]


def main(folder: Path) -> None:
    """Write the conversations of the shipped rows."""
    source = ROOT / "assets" / "datasets" / "rag-qa-zh" / "train.jsonl"
    rows = [json.loads(line) for line in source.read_text("utf-8").splitlines()]
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in conversations(rows)]
    (folder / "train.jsonl").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main(Path(sys.argv[1]))

"""Words of a page that are too faint to read, as a browser draws them."""

from typing import Any

LEAST = 4.5
"""Contrast of words against what is behind them (WCAG 2, level AA)."""
_FAINT = """least => {
  const channels = colour => {
    const [kind, inside] = colour.match(/(\\w+)\\(([^)]+)\\)/)?.slice(1) ?? ["rgba", "0 0 0 0"];
    const [r, g, b, alpha = 1] = inside.replace("srgb", "").split(/[\\s,/]+/).filter(Boolean).map(Number);
    return [...[r, g, b].map(value => kind === "color" ? value : value / 255), alpha];
  };
  const over = (top, ground) => [0, 1, 2].map(i => top[i] * top[3] + ground[i] * (1 - top[3]));
  const light = colour => colour.map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, value, i) => sum + value * [0.2126, 0.7152, 0.0722][i], 0);
  const grounds = element => element ? [...grounds(element.parentElement), element] : [];
  const found = new Set(), words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (words.nextNode()) {
    const said = words.currentNode.textContent.trim(), element = words.currentNode.parentElement;
    const skipped = element.closest("style, script, svg, :disabled, [data-testid=stIconMaterial]");
    if (!said || skipped || !element.checkVisibility() || !element.getBoundingClientRect().width) continue;
    const ground = grounds(element).reduce((below, one) =>
      over(channels(getComputedStyle(one).backgroundColor), below), [1, 1, 1]);
    const shades = [over(channels(getComputedStyle(element).color), ground), ground].map(light).sort((a, b) => b - a);
    const contrast = (shades[0] + 0.05) / (shades[1] + 0.05);
    if (contrast < least) found.add(`${said.slice(0, 40)}: ${contrast.toFixed(2)}`);
  }
  return [...found];
}"""


def faint(page: Any) -> list[str]:
    """Of the words on a page, those below :data:`LEAST`, each with its contrast; icons and what is off are let be."""
    return list(page.evaluate(_FAINT, LEAST))

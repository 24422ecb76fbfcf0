"""How a report looks, light or dark as the reader's screen is, and the little it does: draw charts, switch language."""

import json

from core.palette import ARMS

INK = ("#111827", "#E6E9EF")
"""Of text and marks, as (light, dark)."""


def _triple(color: str) -> str:
    return ",".join(str(int(color[place : place + 2], 16)) for place in (1, 3, 5))


# Charts are kept in light colours, also as rgba(); on a dark screen each is replaced before it is drawn.
_SHADES = dict((*ARMS.values(), INK))
_SHADES |= {_triple(light): _triple(dark) for light, dark in ARMS.values()}

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
SWITCH = '<nav><button data-language="zh">中文</button><button data-language="en">English</button></nav>'
SCRIPT = (
    f"const shades = {json.dumps(_SHADES)}, inks = {json.dumps(INK)};"
    + """
const dark = matchMedia('(prefers-color-scheme: dark)');
const draw = () => document.querySelectorAll('.chart').forEach(place => {
  if (getComputedStyle(place).display === 'none' || place.dataset.drawn === String(dark.matches)) return;
  let kept = place.querySelector('script').textContent;
  if (dark.matches) for (const [light, shade] of Object.entries(shades)) kept = kept.replaceAll(light, shade);
  const figure = JSON.parse(kept);
  figure.layout.font = {color: inks[Number(dark.matches)]};
  Plotly.newPlot(place, figure.data, figure.layout, {responsive: true, displaylogo: false});
  place.dataset.drawn = dark.matches;
});
dark.addEventListener('change', draw);
document.querySelectorAll('[data-language]').forEach(button => button.addEventListener('click', () => {
  document.body.className = document.documentElement.lang = button.dataset.language;
  draw();
}));
draw();
"""
)
CSS = """
:root { color-scheme: light dark; --line: light-dark(#E2E8F0, #2B3340); --card: light-dark(#fff, #161B24);
  font: 16px/1.55 system-ui, "Noto Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif; }
body { margin: 0; background: light-dark(#FBFBFD, #0E1117); color: light-dark(#111827, #E6E9EF); }
body.zh .en, body.en .zh { display: none; }
main { max-width: 1080px; margin: auto; padding: 1.5rem 1rem 4rem; }
header { position: relative; } nav { position: absolute; top: 0; right: 0; } h1 { padding-right: 9rem; }
button { font: inherit; padding: .2rem .6rem; margin-left: .3rem; border-radius: 8px;
  border: 1px solid light-dark(#CBD5E1, #475569); background: var(--card); color: inherit; cursor: pointer; }
h2 { margin: 2.4rem 0 .6rem; font-size: 1.2rem; } p { max-width: 46rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: .4rem .7rem; border-bottom: 1px solid var(--line); }
td, th { min-width: 4.5rem; } td.text, td:last-child { min-width: 15rem; }
small { color: light-dark(#475569, #A8B3C4); white-space: nowrap; }
.arm { font-weight: 620; color: var(--arm); overflow-wrap: anywhere; }
.arms { display: grid; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); gap: .7rem; margin: .6rem 0; }
.card { border: 1px solid var(--line); border-top: 3px solid var(--arm); border-radius: 10px; padding: .5rem .7rem;
  background: var(--card); } .said { white-space: pre-wrap; overflow-wrap: anywhere; max-width: 72ch; }
summary { cursor: pointer; overflow-wrap: anywhere; } pre { white-space: pre-wrap; overflow-wrap: anywhere;
  background: light-dark(#F1F5F9, #1A202B); border-radius: 10px; padding: .7rem; font-size: .82rem; }
dt { font-weight: 620; }
dd { margin: 0 0 .5rem; max-width: 46rem; }
"""

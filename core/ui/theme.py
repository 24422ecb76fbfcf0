"""The look that Streamlit's own theme cannot express: the four cells' colours and a calm page."""

import streamlit as st

from core.palette import ARMS

# Runs over one another, as (light, dark): none of them an arm's; run_charts tells more than four apart by dashes.
RUNS = (("#6D28D9", "#A78BFA"), ("#BE185D", "#F9A8D4"), ("#4D7C0F", "#A3E635"), ("#111827", "#E5E7EB"))


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return getattr(st.context.theme, "type", "light") == "dark"


def arm_colors() -> dict[str, str]:
    """The four colours for the theme that is on."""
    return {arm: pair[is_dark()] for arm, pair in ARMS.items()}


def run_colors() -> list[str]:
    """The shades of runs for the theme that is on."""
    return [pair[is_dark()] for pair in RUNS]


def ink() -> str:
    """The text's colour, for marks in charts."""
    return "#E6E9EF" if is_dark() else "#111827"


def _arm_rules() -> str:
    return "\n".join(
        f'[class*="st-key-arm-{arm}-"] {{ --arm: light-dark({light}, {dark}); }}\n'
        f".chip.{arm} {{ --arm: light-dark({light}, {dark}); }}"
        for arm, (light, dark) in ARMS.items()
    )


def inject() -> None:
    """Put the style sheet into the page."""
    st.html(f"<style>{_arm_rules()}\n{_CSS}</style>")


_CSS = """
.stMainBlockContainer { padding-top: 3.2rem; padding-bottom: 3rem; max-width: 1180px; }
[data-testid="stStatusWidget"] { display: none; }
[data-testid="stCaptionContainer"] code { color: inherit; font-size: .95em; }
h1 { padding-bottom: .1rem !important; }
.lead { color: color-mix(in srgb, currentColor 70%, transparent); margin: 0 0 .4rem; max-width: 46rem; }
[class*="st-key-arm-"] { border-top: 3px solid var(--arm) !important; }
[class*="st-key-arm-"] .stMarkdown p { max-width: 72ch; overflow-wrap: anywhere; }
.chip { display: inline-flex; align-items: center; gap: .45rem; font-size: .86rem; font-weight: 620;
  color: var(--arm); }
.chip::before { content: ""; flex: none; width: .7rem; height: .7rem; border-radius: 3px; background: var(--arm); }
.findings > div { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem .8rem; padding: .3rem 0;
  font-size: .84rem; font-variant-numeric: tabular-nums;
  border-bottom: 1px solid color-mix(in srgb, currentColor 12%, transparent); }
.findings .chip { flex: 1 1 14rem; } .findings .chip ~ span { flex: 0 1 13.5rem; }
.findings .chip ~ span ~ span { flex: 0 1 20.5rem; }
[class*="-hatched-"][class*="st-key-arm-"] { border-top-style: dashed !important; }
[class*="-dotted-"][class*="st-key-arm-"] { border-top-style: dotted !important; }
[class*="-double-"][class*="st-key-arm-"] { border-top: 5px double var(--arm) !important; }
.chip.hatched::before { background: repeating-linear-gradient(135deg, var(--arm) 0 2px, transparent 2px 4px);
  box-shadow: inset 0 0 0 1px var(--arm); }
.chip.dotted::before { background: radial-gradient(var(--arm) 1.1px, transparent 1.4px) 0 0 / 3.7px 3.7px;
  box-shadow: inset 0 0 0 1px var(--arm); }
.chip.double::before { background: none; box-shadow: inset 0 0 0 2px var(--arm); }
.figures { font-size: .8rem; color: color-mix(in srgb, currentColor 68%, transparent);
  font-variant-numeric: tabular-nums; }
.question { font-weight: 620; font-size: 1.06rem; min-height: 40px; padding-top: .45rem; overflow-wrap: anywhere;
  white-space: pre-wrap; }
.passage { font-size: .88rem; line-height: 1.55; overflow-wrap: anywhere; }
.passage b { font-variant-numeric: tabular-nums; }
.source { white-space: pre-wrap; overflow-wrap: anywhere; font-size: .92rem; line-height: 1.7; max-width: 46rem; }
.source mark { background: light-dark(#FDE68A, #854D0E); color: inherit; border-radius: 3px; padding: .05rem .1rem; }
.source ins { text-underline-offset: .2em; background: color-mix(in srgb, currentColor 11%, transparent); }
.source del { color: color-mix(in srgb, currentColor 72%, transparent); }
.source ins, .source del { margin: 0 .12rem; border-radius: 3px; }
.source ins > b, .source del > b { display: inline-block; padding: 0 .12rem; }
.cells { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.2rem, 1fr)); gap: .7rem .9rem;
  align-items: end; font-size: .82rem; }
.cells.wide { grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); }
.cells b { display: block; white-space: nowrap; font-size: 1.2rem; font-weight: 500;
  font-variant-numeric: tabular-nums; }
.said { height: 21rem; overflow-y: auto; font-size: .86rem; line-height: 1.5; overflow-wrap: anywhere;
  border: 1px solid color-mix(in srgb, currentColor 16%, transparent); border-radius: 10px; padding: .6rem .75rem; }
.said > b { display: block; white-space: pre-wrap; max-height: 6.5rem; overflow-y: auto; }
.said > p { margin: .45rem 0 0; padding-top: .45rem; white-space: pre-wrap;
  border-top: 1px solid color-mix(in srgb, currentColor 12%, transparent); }
.said i { display: block; font-style: normal; font-size: .76rem; opacity: .72; font-variant-numeric: tabular-nums; }
.tokens { font-size: .88rem; line-height: 1.75; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 22rem;
  overflow-y: auto; }
.tokens > b { opacity: .6; margin-right: .6rem; font-variant-numeric: tabular-nums; }
.tokens > i { font-style: normal; padding: .08rem 0; border-right: 1px solid light-dark(#CBD5E1, #475569);
  color: light-dark(#475569, #A8B3C4); }
.tokens > i.learned { color: light-dark(#78350F, #FDE68A); background: light-dark(#FEF3C7, #45310B);
  border-bottom: 2px solid light-dark(#B45309, #FBBF24); }
.js-plotly-plot :is(.xtick text, .ytick text, .xtitle, .ytitle, .gtitle-subtitle, .annotation-text) {
  fill: light-dark(#565D6D, #C8CED9) !important; }
.waiting { font-size: .9rem; color: color-mix(in srgb, currentColor 68%, transparent); }
.status { display: inline-block; padding: .1rem .55rem; border-radius: 999px; font-size: .8rem; font-weight: 600;
  border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
.bench { display: grid; grid-template-columns: max-content 1fr 1fr; gap: .5rem; align-items: center;
  font-size: .82rem; text-align: center; max-width: 26rem; }
.bench > span { opacity: .75; }
.bench .cell { color: color-mix(in srgb, var(--arm) 76%, light-dark(#000, #fff)); justify-content: center;
  min-height: 4.6rem; border-radius: 10px; border: 1.5px solid var(--arm);
  background: color-mix(in srgb, var(--arm) 12%, transparent); }
.bench .cell::before { display: none; }
[data-testid="stBaseButton-primary"]:not(:disabled), [data-testid="stMultiSelectTagsContainer"] [data-tag] {
  background: #2563EB; }
[data-testid="stBaseButton-primary"]:not(:disabled):hover { background: #1D4ED8; }
[data-testid="stButtonGroup"] [aria-checked="true"], [data-testid="stButtonGroup"] [data-selected="true"] {
  color: light-dark(#1D4ED8, #60A5FA) !important; }
[data-testid="stCode"] .token { color: light-dark(#1D4ED8, #60A5FA) !important; }
[data-testid="stCode"] .token.string { color: light-dark(#166534, #4ADE80) !important; }
[data-testid="stCode"] .token:is(.number, .boolean) { color: light-dark(#92400E, #FBBF24) !important; }
[data-testid="stCode"] .token:is(.operator, .punctuation) { color: inherit !important; }
[data-testid="stMetricValue"] { font-size: 1.25rem; font-variant-numeric: tabular-nums; }
@media (max-width: 640px) {
  .stMainBlockContainer { padding-left: 1rem; padding-right: 1rem; }
  .st-key-vote_choices > div { flex: 1 1 40%; }
  [class*="st-key-arm-"] .chip { position: sticky; top: 3.2rem; z-index: 2; }
}
"""

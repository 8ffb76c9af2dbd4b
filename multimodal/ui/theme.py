"""How the page looks: one accent colour, system fonts, large type that reads from the last row."""

import gradio as gr

# Korean fallbacks stand behind each system's own face; nothing is fetched
FONT = [
    "system-ui",
    "Segoe UI",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "sans-serif",
]
ACCENT = gr.themes.Color(
    "#eefaf9", "#d3f1ee", "#a8e2dd", "#71ccc5", "#3fb0a8", "#1c948d", "#0f766f", "#115e59",
    "#134e4a", "#123f3c", "#082a28",
)  # fmt: skip

CSS = """
.gradio-container { width: 100% !important; max-width: 1500px !important;
  margin: 0 auto !important; font-size: 17px; }
#head { align-items: center; gap: 16px; }
#head h1 { font-size: 1.55rem; font-weight: 700; margin: 0; letter-spacing: -0.01em; }
#head p { margin: 2px 0 0; opacity: .75; }
#language { min-width: 210px; }
button[role=tab] { font-size: 1.1rem !important; }
.answer { min-height: 19rem; }
.answer .fine { opacity: .72; font-size: .92rem; margin-top: 14px; line-height: 1.5; }
.empty { display: grid; place-items: center; min-height: 17rem; text-align: center;
  border: 2px dashed var(--border-color-primary); border-radius: 14px; padding: 24px;
  font-size: 1.1rem; opacity: .8; }
.problem { border-left: 5px solid #b91c1c; background: rgba(185, 28, 28, .09); padding: 16px 18px;
  border-radius: 8px; font-size: 1.08rem; }
.bar { display: grid; grid-template-columns: minmax(6rem, 14rem) 1fr 4.2rem 4.6rem; gap: 12px;
  align-items: center; margin: 7px 0; font-size: 1.08rem; }
.bar .name { overflow-wrap: anywhere; }
.bar .track { background: var(--background-fill-secondary); border-radius: 7px; height: 1.55rem;
  overflow: hidden; border: 1px solid var(--border-color-primary); }
.bar .fill { height: 100%; min-width: 2px; transition: width .25s; }
.bar .share { text-align: right; font-variant-numeric: tabular-nums; font-weight: 650; }
.bar .cosine { text-align: right; font-variant-numeric: tabular-nums; opacity: .65;
  font-size: .92rem; }
.barhead { opacity: .65; font-size: .88rem; }
.chip { display: inline-block; border: 1px solid var(--border-color-primary); padding: 3px 12px;
  border-radius: 99px; font-size: .9rem; opacity: .85; margin-top: 10px; }
.maps { display: grid; grid-template-columns: repeat(auto-fill, minmax(210px, 1fr)); gap: 18px; }
.maps figure { margin: 0; }
.maps .photo { position: relative; border-radius: 10px; overflow: hidden; line-height: 0; }
.maps img { width: 100%; display: block; }
.maps .heat { position: absolute; inset: 0; height: 100%; opacity: var(--strength, .62); }
.bare .heat { display: none; }
.maps figcaption { padding-top: 7px; font-weight: 600; overflow-wrap: anywhere; }
.maps-tools { display: flex; gap: 26px; align-items: center; flex-wrap: wrap; margin: 4px 0 14px; }
.legend { display: inline-block; width: 130px; height: 13px; border-radius: 4px;
  background: linear-gradient(90deg, #00224e, #35456c, #7c7b78, #bcaf6f, #fee838); }
table.grid { border-collapse: separate; border-spacing: 3px; font-size: .95rem; }
table.grid td, table.grid th { padding: 7px 9px; border-radius: 6px; text-align: center;
  border: 0; font-variant-numeric: tabular-nums; }
table.grid th { font-weight: 600; max-width: 11rem; overflow-wrap: anywhere; }
table.grid th.note { text-align: left; font-weight: 500; min-width: 9rem; }
table.grid img { width: 72px; height: 72px; object-fit: cover; border-radius: 6px; }
.scroll { overflow-x: auto; }
table.grid td.best { outline: 3px solid var(--color-accent); }
.templates { display: grid; gap: 22px;
  grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
.templates h4 { margin: 0 0 6px; font-weight: 650; }
.templates .bar { grid-template-columns: minmax(4rem, 8rem) 1fr 3.6rem; font-size: .98rem; }
.say { font-size: 1.25rem; line-height: 1.5; margin: 0 0 12px; }
.say b { color: var(--color-accent); }
.histogram { display: flex; align-items: flex-end; gap: 2px; height: 150px; }
.histogram span { flex: 1; background: var(--border-color-primary); border-radius: 2px 2px 0 0;
  min-height: 1px; }
.histogram span.hit { background: var(--color-accent); }
.axis { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums;
  opacity: .7; }
.orders { display: grid; grid-template-columns: 1fr 1fr; gap: 32px; margin-top: 14px; }
.orders h4 { margin: 0 0 10px; }
.orders ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(104px, 1fr));
  gap: 12px 10px; list-style: none; margin: 0; padding: 0; }
.orders li { margin: 0; font-variant-numeric: tabular-nums; font-size: .95rem; }
.orders img { width: 100%; aspect-ratio: 1; object-fit: cover; border-radius: 8px; }
.orders .up { color: var(--color-accent); font-weight: 650; }
.orders .down { opacity: .6; }
footer { display: none !important; }
#head { flex-wrap: nowrap; }
#head > * { flex: 1 1 0 !important; min-width: 0 !important; }
#head #language, #head #dark { flex: 0 0 auto !important; width: auto; }
.fine, .fine p { opacity: .78; font-size: .95rem !important; line-height: 1.5; }
#search-progress:not(:has(p)):not(:has(.problem)) { display: none; }
#classify-labels .wrap-inner { max-height: 250px; overflow-y: auto; }
#draw-said:not(:has(p)) { display: none; }
#draw-said .say { margin-bottom: 8px; font-variant-numeric: tabular-nums; }
.drawn { display: grid; grid-template-columns: 1fr 1fr; gap: 14px 18px;
  max-width: max(32rem, 100vh - 16rem); }
.drawn.n1 { grid-template-columns: 1fr; max-width: max(26rem, 100vh - 20rem); }
.drawn figure { margin: 0; }
.drawn img, .drawn .undrawn { width: 100%; aspect-ratio: 1; border-radius: 10px; display: block; }
.drawn .undrawn { background: repeating-linear-gradient(-45deg, #cfcfcf 0 5px, #ededed 5px 15px); }
.drawn figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 2px 12px;
  padding-top: 5px; font-variant-numeric: tabular-nums; }
.drawn a { color: var(--color-accent); text-decoration: underline; }
.tokens { display: grid; grid-template-columns: minmax(0, 30rem) minmax(18rem, 1fr); gap: 32px; }
.board { position: relative; align-self: start; }
.board img { width: 100%; display: block; border-radius: 10px; }
.board .heat { position: absolute; inset: 0; height: 100%; opacity: .72;
  image-rendering: pixelated; }
.board .heat[hidden] { display: none; }
.cells { position: absolute; inset: 0; display: grid;
  grid-template: repeat(var(--grid), 1fr) / repeat(var(--grid), 1fr); }
.cells .cell { border: 1px solid rgba(255, 255, 255, .28); border-radius: 0; box-shadow: none;
  background: none; padding: 0; margin: 0; min-width: 0; cursor: crosshair; }
.cells .cell.shown { outline: 3px solid #fff; box-shadow: 0 0 0 5px #111; z-index: 1; }
.cellsay { font-size: 1.12rem; font-weight: 600; font-variant-numeric: tabular-nums; }
.alternative { display: grid; grid-template-columns: 72px 1fr 4.2rem 10rem; gap: 14px;
  align-items: center; margin: 8px 0; font-variant-numeric: tabular-nums; }
.alternative .patch { width: 72px; height: 72px; border-radius: 8px;
  background-image: var(--sheet); position: relative; }
.alternative .patch::after { content: ""; position: absolute; inset: 33.3%; outline: 1px solid #fff;
  box-shadow: 0 0 0 2px rgba(0, 0, 0, .55); }
.alternative .track { background: var(--background-fill-secondary); border-radius: 7px;
  height: 1.3rem; overflow: hidden; border: 1px solid var(--border-color-primary); }
.alternative .fill { display: block; height: 100%; min-width: 2px;
  background: color-mix(in srgb, var(--color-accent) 50%, transparent); }
.alternative.taken .fill { background: var(--color-accent); }
.alternative.taken .code { font-weight: 700; }
.alternative .share { text-align: right; }
.words { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0; }
.words .word { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 5px 12px;
  margin: 0; font-size: 1.08rem; color: inherit; cursor: pointer; background:
  color-mix(in srgb, var(--color-accent) calc(.55 * var(--listened, 0%)), transparent); }
.words .word[aria-pressed=true] { outline: 3px solid var(--color-accent); }
.wall { position: relative; max-width: min(100%, 60rem); }
.wall img { width: 100%; display: block; image-rendering: pixelated; }
.wall img + img { position: absolute; inset: 0; height: 100%; }
.wall .mark { position: absolute; width: calc(100% / var(--columns));
  height: calc(100% / var(--rows)); outline: 3px solid #fff; box-shadow: 0 0 0 5px #111; }
.wall .mark[hidden] { display: none; }
.wallsay { display: flex; align-items: center; gap: 16px; min-height: 80px; font-size: 1.1rem; }
.wallsay .patch { width: 64px; height: 64px; border-radius: 8px; image-rendering: pixelated; }
.twice { display: grid; grid-template-columns: 3fr 2fr; gap: 10px 40px; }
.twice .bar { grid-template-columns: minmax(4.5rem, 8.5rem) 1fr 3.9rem; }
.twice .aside { font-size: .9rem; border-left: 1px solid var(--border-color-primary);
  padding-left: 22px; }
.twice .aside h4 { margin: 4px 0 8px; font-weight: 650; }
.twice .aside .bar { grid-template-columns: minmax(0, 5.4rem) minmax(3.5rem, 1fr) 3.3rem;
  font-size: .95rem; margin: 5px 0; gap: 10px; }
.twice .aside .track { height: 1.15rem; }
.twice .aside p { margin: 10px 0 0; }
.bar + .fine, .twice + .fine, .captions + .fine { margin-top: 14px; }
.captions .bar { grid-template-columns: minmax(8rem, 24rem) 1fr 3.9rem; }
.layers { display: grid; grid-template-columns: auto repeat(var(--columns), minmax(3.7rem, 6.2rem))
  auto; grid-template-rows: auto 24px auto; column-gap: 8px; align-items: center;
  width: max-content; padding: 4px; }
.layers > * { grid-area: var(--side) / var(--at); }
.layers .stream { font-weight: 650; padding-right: 8px; }
.layers .rail { grid-area: var(--side) / 2 / auto / -2; height: 2px; margin-right: -8px;
  background: var(--border-color-primary); }
.layers .block { z-index: 1; margin: 0; padding: 6px 4px; border-radius: 9px; min-width: 0;
  font-size: .86rem; font-weight: 600; line-height: 1.25; color: inherit; cursor: pointer;
  border: 1px solid var(--border-color-primary); background: var(--background-fill-primary); }
.layers .block.co-trm { border: 2px solid var(--color-accent); }
.layers .block i { display: block; font-style: normal; font-weight: 400; color: inherit; }
.layers .block[aria-pressed=true] { background: var(--color-accent); color: #fff; }
.layers .exchange { height: 24px; justify-self: center; fill: none; stroke: var(--color-accent);
  stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.layers .product { grid-area: 1 / -2 / 4 / -1; padding: 0 6px 0 12px; margin: 22px 0;
  border-left: 2px solid var(--border-color-primary);
  align-self: stretch; display: grid; align-items: center; font-weight: 650; }
.steppers { display: flex; flex-wrap: wrap; gap: 8px 34px; margin: 14px 0 10px; }
.stepper { display: flex; align-items: center; gap: 8px; }
.stepper .step { margin: 0; width: 2.4rem; height: 2.4rem; border-radius: 8px; font-size: 1.3rem;
  line-height: 1; color: inherit; cursor: pointer; border: 1px solid var(--border-color-primary);
  background: var(--background-fill-secondary); }
.stepper .now { min-width: 8rem; text-align: center; font-variant-numeric: tabular-nums; }
.stepper .now.layer { min-width: 23rem; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 28px 44px; }
.pair section { min-width: 0; }
.pair h4 { margin: 6px 0; font-size: 1.12rem; font-weight: 650; }
.pair .words { gap: 7px; margin: 8px 0; }
.pair .word { display: inline-grid; align-content: center; min-height: 3.1rem; min-width: 3.6rem;
  padding: 3px 10px; text-align: center; font-weight: 600; line-height: 1.25; }
.pair span.word { cursor: default; }
.pair .word .share { font-size: .78rem; opacity: .8; font-variant-numeric: tabular-nums; }
.pair .word .share:empty { display: none; }
.pair .board + p { margin-top: 12px; }
.pair + .fine { margin-top: 16px; }
.lookedsay { min-height: 4.6em; font-size: 1.08rem; font-weight: 600; line-height: 1.5; }
.gaze .board, .hideable .board { width: min(100%, 26rem, 26rem * var(--shape)); }
.cells.free { display: block; }
.cells.free .cell { position: absolute; background: rgb(var(--heat) / var(--strength, .62)); }
.bare .cells.free .cell { background: none; }
.cells.free .cell.covered { background: repeating-linear-gradient(-45deg, #cfcfcf 0 4px,
  #ededed 4px 12px); }
@media (max-width: 640px) {
  #head { flex-wrap: wrap; }
  #head > :first-child { flex: 1 0 100% !important; }
  .gradio-container { font-size: 16px; padding: 8px !important; }
  .bar { grid-template-columns: 1fr 3.9rem 3.9rem; }
  .bar .name { grid-column: 1 / -1; margin-bottom: -6px; }
  .barhead .name { display: none; }
  #search-hits .grid-container { grid-template-columns: repeat(2, 1fr) !important; }
  .orders { grid-template-columns: minmax(0, 1fr); }
  .twice, .pair { grid-template-columns: minmax(0, 1fr); }
  .twice .bar, .twice .aside .bar, .captions .bar { grid-template-columns: 1fr 3.9rem; }
  .twice .aside { border-left: 0; padding-left: 0; }
  .layers { grid-template: auto repeat(var(--columns), auto) auto / 1fr 44px 1fr; gap: 8px 0;
    width: auto; justify-items: center; }
  .layers > * { grid-area: var(--at) / var(--side); }
  .layers .block { width: 100%; }
  .layers .rail { grid-area: 2 / var(--side) / -2 / auto; width: 2px; height: 100%; margin: 0; }
  .layers .exchange { transform: rotate(90deg); }
  .layers .product { grid-area: -2 / 1 / -1 / 4; border: 0; padding: 0; margin: 0; }
  .stepper .now.layer { min-width: 0; flex: 1; }
  .drawn { gap: 10px; }
  .drawn figcaption { font-size: .92rem; }
  .tokens { grid-template-columns: minmax(0, 1fr); gap: 14px; }
  .alternative { grid-template-columns: 60px 1fr 3.6rem 5.5rem; gap: 8px; font-size: .95rem; }
  .alternative .patch { width: 60px; height: 60px; }
}
"""


def theme() -> gr.themes.Base:
    """The page's theme, light and dark."""
    return gr.themes.Soft(
        primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue="slate", font=FONT,
        font_mono=["ui-monospace", "Consolas", "monospace"], text_size="lg",
    )  # fmt: skip

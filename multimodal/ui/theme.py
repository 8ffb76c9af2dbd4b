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
.gradio-container { max-width: 1500px !important; font-size: 17px; }
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
footer { display: none !important; }
#head { flex-wrap: nowrap; }
#head > * { flex: 1 1 0 !important; min-width: 0 !important; }
#head #language, #head #dark { flex: 0 0 auto !important; width: auto; }
.fine, .fine p { opacity: .78; font-size: .95rem !important; line-height: 1.5; }
#search-progress:not(:has(p)):not(:has(.problem)) { display: none; }
#classify-labels .wrap-inner { max-height: 250px; overflow-y: auto; }
@media (max-width: 640px) {
  #head { flex-wrap: wrap; }
  #head > :first-child { flex: 1 0 100% !important; }
  .gradio-container { font-size: 16px; padding: 8px !important; }
  .bar { grid-template-columns: 1fr 3.9rem 3.9rem; }
  .bar .name { grid-column: 1 / -1; margin-bottom: -6px; }
  .barhead .name { display: none; }
  #search-hits .grid-container { grid-template-columns: repeat(2, 1fr) !important; }
}
"""


def theme() -> gr.themes.Base:
    """The page's theme, light and dark."""
    return gr.themes.Soft(
        primary_hue=ACCENT, secondary_hue=ACCENT, neutral_hue="slate", font=FONT,
        font_mono=["ui-monospace", "Consolas", "monospace"], text_size="lg",
    )  # fmt: skip

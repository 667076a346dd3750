"""The style sheet of the HTML report: light and dark, screen and paper."""

CSS = """
:root { color-scheme: light dark; --ink: #1b1d21; --soft: #5d6470; --page: #ffffff; --panel: #f4f5f7; --rule: #d9dce1;
  --warn-ink: #6b3a00; --warn: #fff2dc; --warn-rule: #e0a64b; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e9ed; --soft: #a3aab5; --page: #15171a; --panel: #1e2126; --rule: #383d45;
    --warn-ink: #ffd9a0; --warn: #33270f; --warn-rule: #8a6a2c; }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans",
sans-serif; } main { max-width: 66rem; margin: 0 auto; padding: 1.5rem 1.25rem 3rem; } h1 { font-size: 1.6rem; margin:
0; line-height: 1.25; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .7rem; padding-bottom: .25rem; border-bottom: 1px
solid var(--rule); } h3 { font-size: 1rem; margin: 1.3rem 0 .35rem; } p { margin: .35rem 0; } .soft { color:
var(--soft); } .banner { margin: 1rem 0; padding: .6rem .9rem; border: 1px solid var(--warn-rule); border-radius: 6px;
  background: var(--warn); color: var(--warn-ink); font-weight: 600; }
.notes { margin: .35rem 0; padding-left: 1.2rem; }
.swatch { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .45em;
  border: 1px solid var(--rule); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .28rem .7rem; border-bottom: 1px solid var(--rule); text-align: left; vertical-align: top; }
thead th { font-weight: 600; color: var(--soft); vertical-align: bottom; }
td.number, th.number { text-align: right; }
table.facts { width: 100%; }
table.facts th { font-weight: 400; color: var(--soft); width: 15rem; }
table.frames { font-size: .82rem; }
table.frames th, table.frames td { padding: .18rem .5rem; }
table.frames tr.anchor td:first-child { font-weight: 700; }
.cards { display: flex; flex-wrap: wrap; gap: .9rem; }
.card { flex: 1 1 19rem; background: var(--panel); border: 1px solid var(--rule); border-radius: 8px;
  padding: .8rem 1rem; }
.card h3 { margin-top: 0; }
.card .size { font-size: 1.5rem; font-weight: 650; margin: .1rem 0; }
.tables { display: flex; flex-wrap: wrap; gap: 0 3rem; }
.figures { display: grid; gap: 1.1rem; grid-template-columns: repeat(auto-fill, minmax(min(26rem, 100%), 1fr)); }
figure { margin: 0; }
figure img { width: 100%; height: auto; display: block; border-radius: 4px; background: #000; }
figcaption { font-size: .86rem; padding-top: .35rem; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .1rem 0 .2rem 3.4rem;
  font-size: .84rem; color: var(--soft); }
.key { display: inline-block; width: 1.7em; height: 0; margin-right: .4em; vertical-align: middle;
  border-top: 2px solid; }
.key.dashed { border-top-style: dashed; }
svg.chart { display: block; width: 100%; height: auto; }
svg.chart text { fill: var(--soft); font-size: 11.5px; font-family: inherit; }
svg.chart .axis { stroke: var(--soft); stroke-width: 1; }
svg.chart .grid { stroke: var(--rule); stroke-width: 1; }
svg.chart .curve { fill: none; stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; }
svg.chart .ink { fill: var(--ink); }
svg.chart .hidden { stroke: var(--soft); stroke-width: 3; }
details > summary { cursor: pointer; margin: .6rem 0; }
code { font-size: .86em; overflow-wrap: anywhere; }
@media print {
  main { max-width: none; padding: 0; }
  figure, .card, svg { break-inside: avoid; }
  h2 { break-after: avoid; }
}
"""

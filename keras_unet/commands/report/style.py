"""How the page looks: on a screen by day and by night, on a phone, on paper."""

from keras_unet.commands.report.charts import COLOURS

# Okabe and Ito's colours, which differ for colour-blind eyes too; lighter by night where they would be too dark.
_DAY = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f6f00", "#555555")
_NIGHT = ("#4aa8e0", "#ff8c42", "#2fc79b", "#e39cc4", "#f2b233", "#8fd0f5", "#d6c94a", "#b0b0b0")

_LIGHT = "--ink:#1b1f24;--faint:#5d6670;--rule:#d5dae0;--paper:#fff;--panel:#f6f8fa;--warn:#8a4b00;"
_DARK = "--ink:#e4e8ec;--faint:#9ba5af;--rule:#3a424b;--paper:#14181c;--panel:#1c2228;--warn:#f0b060;"

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:1rem;max-width:72rem;background:var(--paper);color:var(--ink);
 font:16px/1.45 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
h1{font-size:1.6rem;margin:.4rem 0;overflow-wrap:anywhere}
h2{font-size:1.3rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:2px solid var(--rule);overflow-wrap:anywhere}
h3{font-size:1.05rem;margin:1.6rem 0 .5rem}
p{margin:.5rem 0}
a{color:var(--c0)}
small,.note,figcaption.note,figcaption small{color:var(--faint);font-weight:normal}
.warn{color:var(--warn)}
.state{font-size:1.1rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.55rem 1.5rem;margin:1rem 0}
dt{color:var(--faint);font-size:.82rem}
dd{margin:0;overflow-wrap:anywhere}
.long{grid-column:1/-1}
figure{margin:0;min-width:0}
figcaption{font-weight:600;font-size:.95rem}
h4{margin:0 0 .4rem;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(20rem,100%),1fr));gap:1.2rem;margin-bottom:1.4rem}
.chart svg[role]{display:block;width:100%;height:auto}
svg text{font-size:12px;fill:var(--faint)}
.grid{stroke:var(--rule);stroke-width:1}
.axis{stroke:var(--faint);stroke-width:1;fill:none}
.best{stroke:var(--faint);stroke-width:1;stroke-dasharray:3 3}
.line polyline{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
.line circle{fill:none;stroke:var(--c);stroke-width:2}
.line .dot{fill:var(--c);stroke:none}
.d1 polyline{stroke-dasharray:6 4}
.d2 polyline{stroke-dasharray:1 5}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.2rem 0 0;padding:0;list-style:none;font-size:.85rem}
.legend li{overflow-wrap:anywhere}
.legend svg{width:1.6rem;height:.65rem;margin-right:.35rem}
.swatch{display:inline-block;width:.9rem;height:.9rem;margin-right:.35rem;vertical-align:-.1rem;
 border:1px solid var(--rule)}
.ramp{width:5rem}
.wide{overflow-x:auto;margin:.3rem 0 1.1rem}
table{border-collapse:collapse;font-size:.88rem;font-variant-numeric:tabular-nums}
th,td{padding:.28rem .55rem;border-bottom:1px solid var(--rule);text-align:right;white-space:nowrap}
thead th{color:var(--faint);font-weight:600;vertical-align:bottom;white-space:normal}
th:first-child{text-align:left;padding-left:0}
tbody th{font-weight:500;max-width:22rem;white-space:normal;overflow-wrap:anywhere;min-width:min(12rem,30vw)}
.case{margin:1rem 0 1.6rem;padding:.8rem;background:var(--panel);border-radius:.4rem}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(11rem,45%),1fr));gap:.6rem;margin:.5rem 0}
.panels figcaption{font-weight:normal;font-size:.82rem;color:var(--faint)}
.panels img{display:block;width:100%;height:auto}
.coarse img{image-rendering:pixelated}
.case p{overflow-wrap:anywhere}
details{margin:1.2rem 0}
summary{cursor:pointer;font-weight:600}
pre{overflow-x:auto;padding:.8rem;background:var(--panel);font-size:.82rem;line-height:1.4}
footer{margin-top:2.5rem;color:var(--faint);font-size:.82rem}
@media print{
 body{max-width:none;padding:0;font-size:11pt}
 .chart,.case,tr{break-inside:avoid}
 h2,h3,figcaption{break-after:avoid}
 .wide{overflow:visible}
 table{font-size:8.5pt}
 th,td{padding:.15rem .35rem;white-space:normal}
 .swatch,.case{print-color-adjust:exact;-webkit-print-color-adjust:exact}
 pre{white-space:pre-wrap}
 details::details-content{content-visibility:visible;block-size:auto}
}
"""


def stylesheet() -> str:
    """All rules of the page; it takes no font, picture or rule from elsewhere."""
    day, night = (f"{shades}{_palette(colours)}" for shades, colours in ((_LIGHT, _DAY), (_DARK, _NIGHT)))
    lines = "".join(f".c{index}{{--c:var(--c{index})}}" for index in range(COLOURS))
    dark = f"@media screen and (prefers-color-scheme:dark){{:root{{{night}}}}}"
    return f":root{{color-scheme:light dark;{day}}}{dark}@media print{{:root{{color-scheme:light}}}}{lines}{_RULES}"


def _palette(colours: tuple[str, ...]) -> str:
    return "".join(f"--c{index}:{colour};" for index, colour in enumerate(colours))

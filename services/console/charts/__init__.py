"""
Charts as SVG, made on the server: pure functions from values to markup.

Each takes the sentence that says in words what it shows, as its `aria-label`. Colours, widths and fonts are classes of the
stylesheet, so that no chart needs a style of its own and all follow the theme. Coordinates have one decimal at most: hundreds
of charts go into one page.
"""

from services.console.charts.columns import bars, columns
from services.console.charts.layers import layers
from services.console.charts.scatter import scatter
from services.console.charts.sparkline import sparkline
from services.console.charts.steps import step
from services.console.charts.tenths import tenths

__all__ = ["bars", "columns", "layers", "scatter", "sparkline", "step", "tenths"]

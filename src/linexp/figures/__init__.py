"""Figures of one neuron or of a layer's scores, from plain numbers and names: no explanation is known here."""

from linexp.figures.area import Shares as Shares
from linexp.figures.area import share_ranges as share_ranges
from linexp.figures.colours import INK as INK
from linexp.figures.colours import MUTED as MUTED
from linexp.figures.colours import OKABE_ITO as OKABE_ITO
from linexp.figures.colours import RULE as RULE
from linexp.figures.curves import draw_shares as draw_shares
from linexp.figures.draw import draw_area as draw_area
from linexp.figures.draw import draw_histogram as draw_histogram
from linexp.figures.draw import draw_scatter as draw_scatter
from linexp.figures.maps import Panel as Panel
from linexp.figures.maps import draw_maps as draw_maps
from linexp.figures.markup import Bar as Bar
from linexp.figures.markup import bars_html as bars_html
from linexp.figures.markup import table_html as table_html
from linexp.figures.pictures import draw_pictures as draw_pictures
from linexp.figures.pictures import look_through as look_through
from linexp.figures.pictures import square as square
from linexp.figures.ranges import N_RANGES as N_RANGES
from linexp.figures.ranges import Ranges as Ranges
from linexp.figures.ranges import choose_pictures as choose_pictures
from linexp.figures.ranges import even_ranges as even_ranges

"""What a person looks at: figures and pages made from explanations, activations and scores."""

from linexp.report.impact import draw_top_impact as draw_top_impact
from linexp.report.impact import tell_impact as tell_impact
from linexp.report.reliability import draw_reliability as draw_reliability
from linexp.report.sheet import draw_picture_sheet as draw_picture_sheet
from linexp.report.writing import write_report as write_report

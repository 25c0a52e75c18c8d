//! Draws what was measured.

use std::path::Path;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::growth::Curve;
use crate::stage::Who;
use crate::{Any, PYTHON_TRIPS, Results, TRIPS, WITH, WITHOUT};

const FONT: &str = "sans-serif";
const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb2);
const OTHERS: RGBColor = RGBColor(0xa8, 0xb0, 0xb8);
const TEXT: RGBColor = RGBColor(0x22, 0x22, 0x22);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// ROH and what there is to compare with, as bars.
pub(crate) fn beside(path: &Path, results: &Results) -> Any<()> {
    let root = SVGBackend::new(path, (860, 540)).into_drawing_area();
    root.fill(&WHITE)?;
    let areas = root.split_evenly((3, 2));
    let titles = [
        (WITH[0], "tasks with replies a second (more is better)"),
        (WITHOUT[0], "tasks without replies a second (more is better)"),
        (WITH[1], "CPU time of a task with a reply, µs (less is better)"),
        (TRIPS[0], "round trip of one task, median, ms (less is better)"),
        (PYTHON_TRIPS[0], "round trip from Python, median, ms (less is better)"),
        (PYTHON_TRIPS[1], "round trip from Python, p99, ms (less is better)"),
    ];
    for (area, (row, title)) in areas.iter().zip(titles) {
        let all = [Who::Roh, Who::Celery, Who::CeleryByPika, Who::Forking, Who::Echo];
        let bars = all.into_iter().filter_map(|who| Some((who, results.median(row, who)?)));
        self::bars(area, title, &bars.collect::<Vec<_>>())?;
    }
    Ok(root.present()?)
}

/// One bar for each of `bars`, with its number.
fn bars(area: &Area<'_>, title: &str, bars: &[(Who, f64)]) -> Any<()> {
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 15).into_font().color(&TEXT))
        .margin(8)
        .y_label_area_size(130)
        .build_cartesian_2d(0.0..most * 1.25, 0.0..bars.len() as f64)?;
    let style = (FONT, 13).into_font().color(&TEXT);
    let (left, top) = area.get_base_pixel();
    for (index, (who, value)) in bars.iter().enumerate() {
        let place = (bars.len() - index) as f64 - 0.5;
        let color = if *who == Who::Roh { OURS } else { OTHERS };
        let corners = [(0.0, place - 0.35), (*value, place + 0.35)];
        chart.draw_series([Rectangle::new(corners, color.filled())])?;
        let digits = if *value < 10.0 { 2 } else { 0 };
        let number = format!(" {value:.digits$}");
        chart.draw_series([Text::new(number, (*value, place + 0.2), style.clone())])?;
        // The name, left of where the bar begins.
        let (x, y) = chart.plotting_area().map_coordinate(&(0.0, place + 0.2));
        area.draw(&Text::new(who.name(), (x - left - 128, y - top), style.clone()))?;
    }
    Ok(())
}

/// What a task costs as there is more of something: a curve each.
pub(crate) fn growth(path: &Path, curves: &[Curve]) -> Any<()> {
    let root = SVGBackend::new(path, (860, 520)).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, curve) in root.split_evenly((2, 2)).iter().zip(curves) {
        let costs = || curve.medians().map(|(_, cost)| cost);
        let (least, most) = (costs().fold(f64::MAX, f64::min), costs().fold(0.0, f64::max));
        if most > 10.0 * least {
            panel(area, curve, (least / 2.0..most * 2.0).log_scale())?;
        } else {
            panel(area, curve, 0.0..most * 1.2)?;
        }
    }
    Ok(root.present()?)
}

fn panel<Y>(
    area: &Area<'_>,
    curve: &Curve,
    y: impl AsRangedCoord<CoordDescType = Y, Value = f64>,
) -> Any<()>
where
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let most = curve.medians().map(|(at, _)| at).fold(1.0, f64::max);
    let mut chart = ChartBuilder::on(area)
        .caption(curve.name, (FONT, 15).into_font().color(&TEXT))
        .margin(8)
        // The last number stands below the end of the axis.
        .margin_right(32)
        .x_label_area_size(28)
        .y_label_area_size(62)
        .build_cartesian_2d((1.0..most * 1.3).log_scale(), y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .y_desc("CPU of a task, µs")
        .x_label_formatter(&|at| format!("{at:.0}"))
        .y_labels(6)
        .y_label_formatter(&|cost| format!("{cost:.0}"))
        .draw()?;
    chart.draw_series(LineSeries::new(curve.medians(), OURS.stroke_width(2)).point_size(3))?;
    Ok(())
}

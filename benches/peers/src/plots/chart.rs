//! How a plot is drawn: references grey and dashed, all others in colours that the colour-blind tell apart.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::scale::Scale;
use crate::line::Result;

/// A line of the plot.
pub struct Curve {
    pub label: String,
    pub reference: bool,
    pub points: Vec<(f64, f64)>,
}

/// A plot. Times are never without a reference's, which is among the curves.
pub struct Chart {
    pub title: String,
    pub x: (&'static str, Scale),
    pub y: (&'static str, Scale),
    /// Whether points are marked: where there are few.
    pub marks: bool,
    pub curves: Vec<Curve>,
}

const LEGEND: u32 = 250;
const SIZE: (u32, u32) = (990, 480);

/// Okabe and Ito's colours.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];
const GREYS: [RGBColor; 4] =
    [RGBColor(90, 90, 90), RGBColor(140, 140, 140), RGBColor(180, 180, 180), RGBColor(115, 115, 115)];
const INK: RGBColor = RGBColor(50, 50, 50);
const GRID: RGBColor = RGBColor(228, 228, 228);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn ink(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// A curve's colour, and its dashes' length and distance if it is dashed.
struct Look {
    style: ShapeStyle,
    dashes: Option<(u32, u32)>,
}

fn looks(curves: &[Curve]) -> Vec<Look> {
    let (mut colours, mut greys) = (COLOURS.iter().cycle(), GREYS.iter().cycle());
    let mut patterns = [(7, 4), (2, 3), (12, 4), (4, 6)].into_iter().cycle();
    let look = |curve: &Curve| {
        let (colour, dashes) = if curve.reference { (greys.next(), patterns.next()) } else { (colours.next(), None) };
        Look { style: colour.unwrap_or(&INK).stroke_width(2), dashes }
    };
    curves.iter().map(look).collect()
}

/// Draws charts below each other.
pub fn draw(charts: &[Chart]) -> Result<String> {
    let mut text = String::new();
    let size = (SIZE.0, SIZE.1 * charts.len() as u32);
    let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
    root.fill(&WHITE)?;
    for (chart, area) in charts.iter().zip(root.split_evenly((charts.len(), 1))) {
        chart.draw(&area)?;
    }
    root.present()?;
    drop(root);
    Ok(text)
}

impl Chart {
    fn draw(&self, area: &Area) -> Result {
        let (plot, legend) = area.split_horizontally(SIZE.0 - LEGEND);
        plot.draw(&Text::new(self.title.clone(), (24, 18), ink(19)))?;
        let mut context = ChartBuilder::on(&plot)
            .margin_top(52)
            .margin_left(12)
            .margin_right(8)
            .margin_bottom(10)
            .x_label_area_size(48)
            .y_label_area_size(78)
            .build_cartesian_2d(self.x.1.clone(), self.y.1.clone())?;
        context
            .configure_mesh()
            .x_desc(self.x.0)
            .y_desc(self.y.0)
            .axis_desc_style(ink(15))
            .label_style(ink(13))
            .axis_style(INK)
            .bold_line_style(GRID)
            .max_light_lines(0)
            .draw()?;
        let looks = looks(&self.curves);
        for (curve, look) in self.curves.iter().zip(&looks) {
            let points = curve.points.iter().copied();
            match look.dashes {
                Some((length, distance)) => {
                    context.draw_series(DashedLineSeries::new(points, length, distance, look.style))?;
                }
                None => {
                    context.draw_series(LineSeries::new(points, look.style))?;
                }
            }
            if self.marks {
                let points = curve.points.iter();
                context.draw_series(points.map(|&point| Circle::new(point, 4, look.style.filled())))?;
            }
        }
        self.draw_legend(&legend, &looks)
    }

    /// In the order in which the curves end.
    fn draw_legend(&self, area: &Area, looks: &[Look]) -> Result {
        let end = |curve: &Curve| curve.points.last().map_or(0.0, |point| point.1);
        let mut entries: Vec<_> = self.curves.iter().zip(looks).collect();
        entries.sort_by(|(one, _), (other, _)| end(other).total_cmp(&end(one)));
        for (row, (curve, look)) in entries.into_iter().enumerate() {
            let y = 66 + 24 * row as i32;
            let (length, distance) = look.dashes.unwrap_or((34, 0));
            for x in (0..34).step_by((length + distance) as usize) {
                let to = (x + length as i32).min(34);
                area.draw(&PathElement::new([(8 + x, y), (8 + to, y)], look.style))?;
            }
            let style = ink(14).pos(Pos::new(HPos::Left, VPos::Center));
            area.draw(&Text::new(curve.label.clone(), (50, y), style))?;
        }
        Ok(())
    }
}

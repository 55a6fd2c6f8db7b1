//! Tables and figures as text.

/// A time in nanoseconds, in a unit that suits it.
pub fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ..100.0 => format!("{nanoseconds:.1} ns"),
        ..10_000.0 => format!("{nanoseconds:.0} ns"),
        ..10_000_000.0 => format!("{:.1} µs", nanoseconds / 1e3),
        _ => format!("{:.1} ms", nanoseconds / 1e6),
    }
}

/// A round time in nanoseconds, for an axis.
pub fn round_time(nanoseconds: f64) -> String {
    let (number, unit) = match nanoseconds {
        ..1e3 => (nanoseconds, "ns"),
        ..1e6 => (nanoseconds / 1e3, "µs"),
        _ => (nanoseconds / 1e6, "ms"),
    };
    // Without what is left of a tenth.
    format!("{} {unit}", (number * 1e3).round() / 1e3)
}

/// A table in Markdown, whose columns are aligned in plain text too. The first column is text, and so is every one
/// whose title is "reference" or empty; the others are numbers.
pub fn columns(titles: &[&str], rows: Vec<Vec<String>>) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([titles[column].chars().count(), 3]).max().unwrap_or(3)
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let is_text = |column: usize| column == 0 || ["", "reference"].contains(&titles[column]);
    let line = |cells: &[String]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, &width))| {
            if is_text(column) { format!(" {cell:<width$} |") } else { format!(" {cell:>width$} |") }
        });
        format!("|{}\n", cells.collect::<String>())
    };
    let rule = widths.iter().enumerate().map(|(column, &width)| {
        let dashes = "-".repeat(width - 1);
        if is_text(column) { format!(" {dashes}- |") } else { format!(" {dashes}: |") }
    });
    let head = titles.iter().map(|&title| title.to_owned()).collect::<Vec<_>>();
    let body: String = rows.iter().map(|row| line(row)).collect();
    format!("{}|{}\n{body}", line(&head), rule.collect::<String>())
}

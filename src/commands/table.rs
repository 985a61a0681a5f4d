//! Rows as columns, each only as wide as it needs to be.

/// The rows as lines: texts to the left, numbers to the right, the last column not padded.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let last = N.saturating_sub(1);
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate().map(|(at, (cell, width))| {
            let number = cell.starts_with(|c: char| c.is_ascii_digit())
                && cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
            match at {
                _ if number => format!("{cell:>width$}"),
                at if at == last => cell.clone(),
                _ => format!("{cell:width$}"),
            }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let rows = [["GROUP", "MAPPED"], ["user", "8"], ["workspace", "340"], ["ä", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), ["GROUP      MAPPED", "user            8", "workspace     340", "ä"]);
        assert_eq!(table::<2>(&[]), Vec::<String>::new());
    }
}

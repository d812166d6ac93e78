//! HAProxy's two kinds of table, read by column name, because positions differ between versions.

use std::collections::HashMap;

/// One row by column name.
pub type Row = HashMap<String, String>;

/// The rows of a table such as `show servers state`: a version line, `# columns`, and rows split by spaces.
pub fn spaced(text: &str) -> Vec<Row> {
    rows(text, |line| line.split_whitespace().map(str::to_owned).collect())
}

/// The rows of `show stat`: `# columns`, then comma-separated values.
pub fn commas(text: &str) -> Vec<Row> {
    rows(text, cells)
}

/// The value of one `Name: value` line, as in `show info`.
pub fn line(text: &str, name: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().to_owned())
}

fn rows(text: &str, split: impl Fn(&str) -> Vec<String>) -> Vec<Row> {
    let mut lines = text.lines().skip_while(|line| !line.starts_with('#'));
    let Some(header) = lines.next() else {
        return Vec::new();
    };
    let names = split(header.trim_start_matches('#').trim_start());
    lines.filter(|line| !line.trim().is_empty()).map(|line| names.iter().cloned().zip(split(line)).collect()).collect()
}

/// The values of a row. A value in quotes may have commas and doubled quotes inside.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => {
                if let Some(cell) = cells.last_mut() {
                    cell.push(other);
                }
            }
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_name() {
        let rows = spaced("1\n# be_name srv_name srv_admin_state\napp web01 8\n");
        assert_eq!(rows.first().map(|row| row["srv_admin_state"].as_str()), Some("8"));
        let rows = commas("# pxname,svname,last_chk,\napp,web01,\"a,b\",\n");
        assert_eq!(rows.first().map(|row| row["last_chk"].as_str()), Some("a,b"));
        assert_eq!(line("Name: HAProxy\nPid: 12\n", "Pid").as_deref(), Some("12"));
    }
}

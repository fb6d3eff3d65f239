//! Counting by domain and age, and the table that is printed.

use std::collections::BTreeMap;

/// Counts of one domain: total, then a count for each age column.
type Counts = Vec<u64>;

/// All counts.
pub(crate) struct Table {
    /// Age limits in seconds of all columns but the last.
    limits: Vec<u64>,
    domains: BTreeMap<String, Counts>,
}

/// No name is made shorter than this.
const SHORTEST: usize = 17;

impl Table {
    /// `buckets` columns; the first ends at `first` seconds.
    pub(crate) fn new(buckets: usize, first: u64, linear: bool) -> Table {
        let limit = |n: u32| first.saturating_mul(if linear { u64::from(n) + 1 } else { 1u64.checked_shl(n).unwrap_or(u64::MAX) });
        Table { limits: (0..buckets.saturating_sub(1) as u32).map(limit).collect(), domains: BTreeMap::new() }
    }

    /// Counts one more, of this age in seconds.
    pub(crate) fn count(&mut self, domain: &str, age: u64) {
        let columns = self.limits.len() + 2;
        let counts = self.domains.entry(domain.to_owned()).or_insert_with(|| vec![0; columns]);
        counts[0] += 1;
        counts[1 + self.limits.partition_point(|limit| *limit <= age)] += 1;
    }

    /// The table. `parents`: with parent domains that have so many domains below them. `top`: so many lines at most.
    pub(crate) fn show(&self, width: usize, parents: Option<usize>, top: Option<usize>) -> String {
        let mut rows: Vec<(String, Counts)> = self.domains.iter().map(|(name, counts)| (name.clone(), counts.clone())).collect();
        if let Some(minimum) = parents {
            rows.extend(self.parents(minimum));
        }
        // Most mail first; a parent domain before those below it.
        rows.sort_by_cached_key(|(name, counts)| {
            let labels: Vec<String> = name.trim_start_matches('.').rsplit('.').map(str::to_owned).collect();
            (std::cmp::Reverse(counts[0]), labels, !name.starts_with('.'))
        });
        rows.truncate(top.unwrap_or(usize::MAX));
        let mut total = vec![0; self.limits.len() + 2];
        self.domains.values().for_each(|counts| add(&mut total, counts));
        rows.insert(0, ("TOTAL".into(), total.clone()));

        let mut heads = vec![String::from("T")];
        heads.extend(self.limits.iter().map(|limit| (limit / 60).to_string()));
        heads.push(format!("{}+", self.limits.last().map_or(0, |limit| limit / 60)));
        let columns: Vec<usize> =
            heads.iter().zip(&total).map(|(head, total)| head.len().max(total.to_string().len()).max(2) + 1).collect();
        let room = width.saturating_sub(columns.iter().sum()).max(SHORTEST + 1);

        let mut text = line("", room, &columns, &heads);
        for (name, counts) in &rows {
            text.push_str(&line(&shortened(name, room), room, &columns, counts));
        }
        text
    }

    /// Sums of all domains below each domain of two labels or more.
    fn parents(&self, minimum: usize) -> impl Iterator<Item = (String, Counts)> {
        let mut sums: BTreeMap<&str, (usize, Counts)> = BTreeMap::new();
        for (name, counts) in &self.domains {
            let mut parent = name.as_str();
            while let Some((_, rest)) = parent.split_once('.').filter(|(_, rest)| rest.contains('.')) {
                let (domains, sum) = sums.entry(rest).or_insert_with(|| (0, vec![0; counts.len()]));
                *domains += 1;
                add(sum, counts);
                parent = rest;
            }
        }
        let enough = sums.into_iter().filter(move |(_, (domains, _))| *domains >= minimum);
        enough.map(|(name, (_, sum))| (format!(".{name}"), sum)).collect::<Vec<_>>().into_iter()
    }
}

fn add(sum: &mut [u64], counts: &[u64]) {
    sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

fn line(name: &str, room: usize, columns: &[usize], cells: &[impl std::fmt::Display]) -> String {
    let mut text = format!("{name:>room$}");
    for (width, cell) in columns.iter().zip(cells) {
        text.push_str(&format!("{:>width$}", cell.to_string()));
    }
    text.push('\n');
    text
}

/// The end of a name that is too long; a parent domain keeps its dot.
fn shortened(name: &str, room: usize) -> String {
    let length = name.chars().count();
    if length <= room {
        return name.to_owned();
    }
    let mark = if name.starts_with('.') { ".+" } else { "+" };
    mark.chars().chain(name.chars().skip(length + mark.len() - room)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Postfix's qshape printed for the same queue.
    #[test]
    fn tables_are_those_of_postfix() {
        let mut table = Table::new(10, 300, false);
        for _ in 0..110 {
            table.count("many.example.org", 3);
        }
        for _ in 0..2 {
            table.count("abcdefghijklmnopqrstuvwxyz.0123456789.sub.example.net", 0);
        }
        table.count("upper.example.net", 240 * 60);
        let expected = "
                                        T   5 10 20 40 80 160 320 640 1280 1280+
                                TOTAL 113 112  0  0  0  0   0   1   0    0     0
                         .example.org 110 110  0  0  0  0   0   0   0    0     0
                     many.example.org 110 110  0  0  0  0   0   0   0    0     0
                         .example.net   3   2  0  0  0  0   0   1   0    0     0
                     .sub.example.net   2   2  0  0  0  0   0   0   0    0     0
          .0123456789.sub.example.net   2   2  0  0  0  0   0   0   0    0     0
+rstuvwxyz.0123456789.sub.example.net   2   2  0  0  0  0   0   0   0    0     0
                    upper.example.net   1   0  0  0  0  0   0   1   0    0     0
";
        assert_eq!(table.show(80, Some(1), None), expected[1..]);
        assert_eq!(table.show(80, None, Some(1)).lines().count(), 3, "header, total and one domain");
        assert!(!table.show(80, Some(3), None).contains(" .example"), "no parent has three domains");
    }

    #[test]
    fn columns_of_ages() {
        let heads = |table: &Table| {
            table.show(80, None, None).lines().next().map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        assert_eq!(heads(&Table::new(4, 600, true)).unwrap(), ["T", "10", "20", "30", "30+"]);
        assert_eq!(heads(&Table::new(3, 6000, false)).unwrap(), ["T", "100", "200", "200+"]);
        assert_eq!(heads(&Table::new(1, 180, false)).unwrap(), ["T", "0+"]);
        let mut table = Table::new(3, 60, false);
        [59, 60, 119, 120, 1 << 40].iter().for_each(|age| table.count("x", *age));
        assert_eq!(table.domains["x"], [5, 1, 2, 2]);
    }
}

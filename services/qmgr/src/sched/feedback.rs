//! Concurrency of one destination: how many deliveries at a time, and when it counts as dead (SCHEDULER_README, "Pseudocode for the
//! Postfix 2.5 concurrency scheduler").

/// Amount of feedback for one delivery, as a function of the concurrency N (`…_destination_concurrency_positive_feedback`).
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feedback {
    /// The same always.
    Constant(f64),
    /// x / N.
    PerConcurrency(f64),
}

impl Feedback {
    /// From `1`, `1/8`, `1/concurrency`; `None` for anything else or an amount outside 0 to 1. (SCHEDULER_README measures with
    /// `1/sqrt(N)`, too; Postfix takes no such value.)
    pub fn parse(text: &str) -> Option<Feedback> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        let unit = |n: f64| (0.0..=1.0).contains(&n).then_some(n);
        match text.split_once('/') {
            None => Some(Feedback::Constant(unit(leading_number(text)?)?)),
            Some((n, d)) if d.trim().eq_ignore_ascii_case("concurrency") => Some(Feedback::PerConcurrency(unit(number(n)?)?)),
            Some((n, d)) => Some(Feedback::Constant(unit(number(n)? / number(d).filter(|&d| d > 0.0)?)?)),
        }
    }

    /// Postfix's number for the form, in `destination_concurrency_feedback_debug` lines.
    pub fn form(self) -> u8 {
        match self {
            Feedback::Constant(_) => 0,
            Feedback::PerConcurrency(_) => 1,
        }
    }

    /// For one delivery at this concurrency.
    pub fn amount(self, concurrency: u32) -> f64 {
        match self {
            Feedback::Constant(x) => x,
            Feedback::PerConcurrency(x) => x / f64::from(concurrency.max(1)),
        }
    }
}

/// What follows a number is not looked at, as in Postfix.
fn leading_number(text: &str) -> Option<f64> {
    let text = text.trim();
    (1..=text.len()).rev().filter_map(|end| text.get(..end)?.parse::<f64>().ok()).find(|n| n.is_finite())
}

/// A number as C's `%g` writes it: six digits at most, without trailing zeros.
pub fn general(x: f64) -> String {
    let scientific = format!("{x:.5e}");
    let exponent = scientific.split_once('e').and_then(|(_, e)| e.parse::<i32>().ok()).unwrap_or(0);
    let shorten = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        return shorten(&format!("{x:.*}", usize::try_from(5 - exponent).unwrap_or(0)));
    }
    let mantissa = scientific.split('e').next().unwrap_or_default();
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", shorten(mantissa), exponent.abs())
}

/// The parameters of a transport that [`Concurrency`] obeys.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// `…_initial_destination_concurrency`, at least 1.
    pub initial: u32,
    /// `…_destination_concurrency_limit`; 0 is no limit.
    pub limit: u32,
    /// `…_destination_concurrency_positive_feedback`.
    pub positive: Feedback,
    /// `…_destination_concurrency_negative_feedback`.
    pub negative: Feedback,
    /// `…_destination_concurrency_failed_cohort_limit`; 0: failures never make a destination dead.
    pub cohorts: u32,
}

impl Limits {
    fn cap(&self, n: u32) -> u32 {
        if self.limit == 0 { n } else { n.min(self.limit) }
    }
}

/// A destination's window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Concurrency {
    window: u32,
    success: f64,
    failure: f64,
    failed_cohorts: f64,
}

impl Concurrency {
    /// As for a destination of which nothing is known.
    pub fn new(limits: &Limits) -> Concurrency {
        Concurrency { window: limits.cap(limits.initial.max(1)), success: 0.0, failure: 0.0, failed_cohorts: 0.0 }
    }

    /// How many deliveries may run at a time; 0 when the destination is dead.
    pub fn window(&self) -> u32 {
        self.window
    }

    /// A delivery ended without connection or handshake failure while `busy` deliveries (this one included) were running. Returns the amount
    /// of feedback, if there was any.
    pub fn succeeded(&mut self, limits: &Limits, busy: u32) -> Option<f64> {
        self.failed_cohorts = 0.0;
        // A window that is not used says nothing about what the other side can take; were it to grow, failures would shrink it too late.
        let full = limits.limit > 0 && self.window >= limits.limit;
        if full || self.window >= busy.saturating_add(limits.initial) {
            return None;
        }
        let feedback = limits.positive.amount(self.window);
        self.success += feedback;
        // Steps are taken at the nearest report, not after the last: half an amount is on the way.
        while self.success + feedback / 2.0 >= 1.0 {
            self.window += 1;
            self.failure = 0.0;
            self.success -= 1.0;
        }
        self.window = limits.cap(self.window);
        Some(feedback)
    }

    /// A delivery ended with connection or handshake failure. Returns the amount of feedback, if there was any; without, the window is 0 and
    /// the destination dead.
    pub fn failed(&mut self, limits: &Limits) -> Option<f64> {
        if self.window == 0 {
            return None;
        }
        self.failed_cohorts += 1.0 / f64::from(self.window);
        // The README writes "greater than"; Postfix is seen to suspend a destination with concurrency 1 after its first failure.
        if limits.cohorts > 0 && self.failed_cohorts >= f64::from(limits.cohorts) {
            self.window = 0;
            return None;
        }
        let feedback = limits.negative.amount(self.window);
        self.failure -= feedback;
        while self.failure - feedback / 2.0 < 0.0 {
            self.window = self.window.saturating_sub(1);
            self.failure += 1.0;
            self.success = 0.0;
        }
        self.window = self.window.max(1);
        Some(feedback)
    }

    /// Says that the destination cannot be used, whatever the counts.
    pub fn kill(&mut self) {
        self.window = 0;
    }
}

impl std::fmt::Display for Concurrency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [success, failure, cohorts] = [self.success, self.failure, self.failed_cohorts].map(general);
        write!(f, "window {} success {success} failure {failure} fail_cohorts {cohorts}", self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(positive: &str, negative: &str, cohorts: u32) -> Limits {
        Limits {
            initial: 5,
            limit: 20,
            positive: Feedback::parse(positive).expect("positive"),
            negative: Feedback::parse(negative).expect("negative"),
            cohorts,
        }
    }

    #[test]
    fn grammar_of_feedback() {
        assert_eq!(Feedback::parse("1"), Some(Feedback::Constant(1.0)));
        assert_eq!(Feedback::parse("1/8"), Some(Feedback::Constant(0.125)));
        assert_eq!(Feedback::parse("1/concurrency"), Some(Feedback::PerConcurrency(1.0)));
        assert_eq!(Feedback::parse("0.5 / Concurrency"), Some(Feedback::PerConcurrency(0.5)));
        assert_eq!(Feedback::parse("0.3x"), Some(Feedback::Constant(0.3)));
        for bad in ["", "x", "2", "-1", "3/2", "1/0", "1/x", "2/concurrency", "nan", "1/2/3", "1/sqrt_concurrency", "1/concurrencyx"] {
            assert_eq!(Feedback::parse(bad), None, "{bad}");
        }
    }

    /// S-QUEUE-19: starts at 5, grows to the limit of 20 and not beyond. SCHEDULER_README: 5, 10, 20 by pseudo-cohorts with feedback 1.
    #[test]
    fn grows_exponentially_with_feedback_1() {
        let l = limits("1", "1", 1);
        let mut c = Concurrency::new(&l);
        let mut seen = vec![c.window()];
        for _ in 0..3 {
            let cohort = c.window();
            for _ in 0..cohort {
                let busy = c.window();
                c.succeeded(&l, busy);
            }
            seen.push(c.window());
        }
        assert_eq!(seen, [5, 10, 20, 20]);
    }

    /// SCHEDULER_README: with 1/concurrency the window grows by one after a whole cohort (the first cohort at 5 has 5 reports).
    #[test]
    fn grows_linearly_with_feedback_1_per_concurrency() {
        let l = limits("1/concurrency", "1", 1);
        let mut c = Concurrency::new(&l);
        for _ in 0..4 {
            c.succeeded(&l, 5);
        }
        assert_eq!(c.window(), 5);
        c.succeeded(&l, 5);
        assert_eq!(c.window(), 6);
    }

    #[test]
    fn an_unused_window_does_not_grow() {
        let l = limits("1", "1", 1);
        let mut c = Concurrency::new(&l);
        for _ in 0..100 {
            c.succeeded(&l, 1);
        }
        assert_eq!(c.window(), 6, "one more than initial while busy is 1: 5 < 1 + 5, then 6 is not");
    }

    /// S-QUEUE-11: a destination dies after one failed cohort by default; success in between clears the count.
    #[test]
    fn dies_after_a_failed_cohort() {
        let l = limits("1", "1/concurrency", 1);
        let mut c = Concurrency::new(&l);
        let mut reports = 1;
        while c.failed(&l).is_some() {
            reports += 1;
        }
        // 1/5 + 1/4 + 1/3 + 1/2 > 1: the window shrinks by one each time, 1/concurrency being at least what is left of the hysteresis.
        assert!((4..=6).contains(&reports), "{reports}");
        assert_eq!(c.window(), 0);

        let mut c = Concurrency::new(&l);
        c.failed(&l);
        c.succeeded(&l, 5);
        assert!(c.failed(&l).is_some(), "counting began anew");
    }

    #[test]
    fn with_concurrency_1_the_first_failure_is_a_cohort() {
        let l = Limits { limit: 1, ..limits("1", "1", 1) };
        assert_eq!(Concurrency::new(&l).failed(&l), None);
    }

    #[test]
    fn negative_feedback_acts_at_the_first_failure() {
        let l = limits("1", "1/8", 100);
        let mut c = Concurrency::new(&l);
        c.failed(&l);
        assert_eq!(c.window(), 4, "reverse hysteresis");
        (0..6).for_each(|_| assert!(c.failed(&l).is_some()));
        assert_eq!(c.window(), 4);
        c.failed(&l);
        assert_eq!(c.window(), 3);
    }

    /// Amounts that do not add up to one act at the nearest report: 0.7 already at the first, and the rest is owed.
    #[test]
    fn uneven_amounts_are_rounded() {
        let l = Limits { initial: 3, ..limits("0.7", "0.7", 10) };
        let mut c = Concurrency::new(&l);
        c.succeeded(&l, 1);
        assert_eq!(c.to_string(), "window 4 success -0.3 failure 0 fail_cohorts 0");
        c.failed(&l);
        assert_eq!(c.to_string(), "window 2 success 0 failure 1.3 fail_cohorts 0.25");
    }

    /// C's printf(3), "%g".
    #[test]
    fn numbers_are_written_as_in_c() {
        for (x, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.0 / 3.0, "0.333333"),
            (-0.2, "-0.2"),
            (2.96667, "2.96667"),
            (5.551115123125783e-17, "5.55112e-17"),
            (0.0001, "0.0001"),
            (1e6, "1e+06"),
            (999999.0, "999999"),
            (13.25, "13.25"),
        ] {
            assert_eq!(general(x), text);
        }
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let l = Limits { limit: 0, ..limits("1", "1", 1) };
        let mut c = Concurrency::new(&l);
        for _ in 0..100 {
            let busy = c.window();
            c.succeeded(&l, busy);
        }
        assert_eq!(c.window(), 105);
    }
}

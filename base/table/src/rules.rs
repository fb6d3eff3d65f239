//! What `regexp`, `pcre` and `cidr` tables have in common: rules tried in order, `if … endif` around some of them.

/// A rule that was read: a test, and what to do when it holds.
pub(crate) enum Rule<Test, Text> {
    /// The answer if the test holds.
    Match(Test, Text),
    /// If the test fails, go on after the rule at this index, which is the matching `endif`.
    If(Test, usize),
    /// Ends an `if`.
    EndIf,
}

/// Rules while they are read; knows the open `if`s.
pub(crate) struct Builder<Test, Text> {
    rules: Vec<Rule<Test, Text>>,
    /// Index and line of each open `if`.
    open: Vec<(usize, usize)>,
}

impl<Test, Text> Builder<Test, Text> {
    pub fn new() -> Self {
        Builder { rules: Vec::new(), open: Vec::new() }
    }

    pub fn rule(&mut self, test: Test, text: Text) {
        self.rules.push(Rule::Match(test, text));
    }

    pub fn begin(&mut self, test: Test, line: usize) {
        self.open.push((self.rules.len(), line));
        self.rules.push(Rule::If(test, usize::MAX));
    }

    /// Closes the innermost `if`; `false` when there is none.
    pub fn end(&mut self) -> bool {
        let Some((start, _)) = self.open.pop() else { return false };
        let end = self.rules.len();
        if let Rule::If(_, target) = &mut self.rules[start] {
            *target = end;
        }
        self.rules.push(Rule::EndIf);
        true
    }

    /// All rules, and the lines of the `if`s that were left open (innermost first). Those reach to the end of the table.
    pub fn finish(self) -> (Rules<Test, Text>, Vec<usize>) {
        (Rules(self.rules), self.open.iter().rev().map(|&(_, line)| line).collect())
    }
}

/// The rules of a table.
pub(crate) struct Rules<Test, Text>(Vec<Rule<Test, Text>>);

impl<Test, Text> Rules<Test, Text> {
    /// Tries the rules in order: `test` says whether a test holds, `answer` makes the answer of a rule (with what `test` gave).
    pub fn first<Found, Answer, Error>(
        &self,
        mut test: impl FnMut(&Test) -> Result<Option<Found>, Error>,
        answer: impl FnOnce(&Text, Found) -> Answer,
    ) -> Result<Option<Answer>, Error> {
        let mut at = 0;
        while let Some(rule) = self.0.get(at) {
            match rule {
                Rule::Match(condition, text) => {
                    if let Some(found) = test(condition)? {
                        return Ok(Some(answer(text, found)));
                    }
                }
                Rule::If(condition, end) => {
                    if test(condition)?.is_none() {
                        at = *end;
                        continue;
                    }
                }
                Rule::EndIf => {}
            }
            at += 1;
        }
        Ok(None)
    }
}

/// The text of a table that stands in its name, `{ { rule }, { rule } }`, as the lines of a file; `Ok(None)` when the name is a file name.
/// `kind` is the table type, for the error text.
pub(crate) fn inline_source(kind: &str, name: &str) -> Result<Option<String>, String> {
    if !name.starts_with('{') {
        return Ok(None);
    }
    let fault = |error: String| format!("{kind} map: {error}");
    let inner = crate::syntax::inside_braces(name).map_err(fault)?;
    let mut source = String::new();
    for word in crate::syntax::words(inner) {
        source.push_str(crate::syntax::inside_braces(word).map_err(fault)?);
        source.push('\n');
    }
    Ok(Some(source))
}

/// Whether a line begins with this keyword (case ignored) and no letter or digit follows.
pub(crate) fn keyword(line: &[u8], word: &str) -> bool {
    line.len() >= word.len()
        && line[..word.len()].eq_ignore_ascii_case(word.as_bytes())
        && !line.get(word.len()).is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_and_endif_nest_and_an_open_if_reaches_to_the_end() {
        let mut builder = Builder::new();
        builder.begin(1, 1);
        builder.begin(2, 2);
        builder.rule(3, "inner");
        assert!(builder.end());
        builder.rule(4, "outer");
        assert!(builder.end());
        assert!(!builder.end());
        builder.begin(5, 7);
        builder.rule(6, "last");
        let (rules, open) = builder.finish();
        assert_eq!(open, [7]);
        let ask = |holds: &[i32]| rules.first(|test| Ok::<_, ()>(holds.contains(test).then_some(())), |text, ()| *text).unwrap();
        assert_eq!(ask(&[1, 2, 3, 4]), Some("inner"));
        assert_eq!(ask(&[1, 3, 4]), Some("outer"));
        assert_eq!(ask(&[2, 3, 4, 6]), None);
        assert_eq!(ask(&[5, 6]), Some("last"));
    }

    #[test]
    fn inline_rules() {
        assert_eq!(inline_source("regexp", "{{/a/ b},{/c/ d}}"), Ok(Some("/a/ b\n/c/ d\n".into())));
        assert_eq!(inline_source("regexp", "/file"), Ok(None));
        assert_eq!(inline_source("regexp", "{ /a/ b}"), Err("regexp map: no '{' at start of text in \"/a/\"".into()));
        assert_eq!(inline_source("pcre", "{{/x/ y}} z"), Err("pcre map: syntax error after '}' in \"{{/x/ y}} z\"".into()));
    }
}

//! The `$name` language of `main.cf` and of templates (postconf(5), "parameter value").
//!
//! `$name`, `${name}`, `$(name)`; `${name?then}`, `${name:else}`, `${name?{then}:{else}}`; `${{a} == {b} ? {then} : {else}}` with
//! `== != < <= >= >`, and the same with `level` after the operator for compatibility levels; `${domain_to_ascii{text}}`; `$$`.
//! Works on bytes, because templates are also expanded with data from mail; text that is UTF-8 stays UTF-8 when the values are.

use std::borrow::Cow;

/// A macro that cannot be expanded; `Display` is Postfix's text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// Something stands where the grammar has no place for it.
    #[error("{0}")]
    Syntax(String),
    /// A number that is too long to compare; Postfix ends the program for it without another message.
    #[error("mac_exp_eval: bad conversion: {0}")]
    Number(String),
    /// A parameter refers to itself, directly or not.
    #[error("unreasonable macro call nesting: \"{0}\"")]
    Nesting(String),
}

/// One piece of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text that stands for itself.
    Literal(&'a [u8]),
    /// A reference.
    Macro(Macro<'a>),
}

/// A reference: what it asks for, and what to put in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Macro<'a> {
    /// What is looked up or compared.
    pub subject: Subject<'a>,
    /// After `?`; unexpanded.
    pub then: Option<&'a [u8]>,
    /// After `:`; unexpanded.
    pub otherwise: Option<&'a [u8]>,
}

/// What a reference asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// A parameter.
    Name(&'a str),
    /// A comparison; both sides unexpanded.
    Relation(&'a [u8], Operator, &'a [u8]),
    /// A function and its unexpanded argument.
    Function(Function, &'a [u8]),
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operator {
    symbol: &'static str,
    level: bool,
}

/// A named function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `domain_to_ascii`: U-labels become A-labels; a domain that has no such form stays as it is.
    DomainToAscii,
    /// `domain_to_utf8`: the reverse.
    DomainToUtf8,
}

/// Gives the final value of a name; `None` when it is not defined.
pub type Lookup<'a, E> = dyn FnMut(&str) -> Result<Option<Vec<u8>>, E> + 'a;

/// Expands `text`. `lookup` gives the final value of a name, or `None` when it is not defined, which expands to nothing.
pub fn expand<E: From<MacroError>>(text: &[u8], lookup: &mut Lookup<'_, E>) -> Result<Vec<u8>, E> {
    let mut out = Vec::with_capacity(text.len());
    expand_into(&mut out, text, lookup)?;
    Ok(out)
}

fn expand_into<E: From<MacroError>>(out: &mut Vec<u8>, text: &[u8], lookup: &mut Lookup<'_, E>) -> Result<(), E> {
    for part in parts(text) {
        let reference = match part? {
            Part::Literal(literal) => {
                out.extend_from_slice(literal);
                continue;
            }
            Part::Macro(reference) => reference,
        };
        let value = match reference.subject {
            Subject::Name(name) => lookup(name)?.unwrap_or_default(),
            Subject::Relation(left, operator, right) => {
                let (left, right) = (expand(left, lookup)?, expand(right, lookup)?);
                if operator.holds(&left, &right)? { b"true".to_vec() } else { Vec::new() }
            }
            Subject::Function(function, argument) => function.apply(expand(argument, lookup)?),
        };
        match (value.is_empty(), reference.then, reference.otherwise) {
            (_, None, None) => out.extend_from_slice(&value),
            (false, Some(branch), _) | (true, _, Some(branch)) => expand_into(out, branch, lookup)?,
            // `${name:else}` with a value, `${name?then}` without one.
            _ => {}
        }
    }
    Ok(())
}

/// Calls `visit` with every name that `text` refers to, also in branches that an expansion would not take.
pub fn names(text: &[u8], visit: &mut dyn FnMut(&str)) -> Result<(), MacroError> {
    for part in parts(text) {
        let Part::Macro(reference) = part? else { continue };
        match reference.subject {
            Subject::Name(name) => visit(name),
            Subject::Relation(left, _, right) => {
                names(left, visit)?;
                names(right, visit)?;
            }
            Subject::Function(_, argument) => names(argument, visit)?,
        }
        for branch in [reference.then, reference.otherwise].into_iter().flatten() {
            names(branch, visit)?;
        }
    }
    Ok(())
}

/// The pieces of a text, in order. After an error there are no more.
pub fn parts(text: &[u8]) -> Parts<'_> {
    Parts { whole: text, at: 0 }
}

/// See [`parts`].
#[derive(Clone, Debug)]
pub struct Parts<'a> {
    whole: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, MacroError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.whole.get(self.at..).filter(|rest| !rest.is_empty())?;
        if rest[0] != b'$' {
            let end = memchr::memchr(b'$', rest).unwrap_or(rest.len());
            self.at += end;
            return Some(Ok(Part::Literal(&rest[..end])));
        }
        let result = match rest.get(1) {
            Some(b'$') => {
                self.at += 2;
                return Some(Ok(Part::Literal(b"$")));
            }
            Some(b'{') => self.bracketed(rest, b'{', b'}'),
            Some(b'(') => self.bracketed(rest, b'(', b')'),
            _ => match name_length(&rest[1..]) {
                0 => Err(self.error("empty macro name")),
                length => {
                    self.at += 1 + length;
                    Ok(Macro { subject: Subject::Name(text_of(&rest[1..1 + length])), then: None, otherwise: None })
                }
            },
        };
        if result.is_err() {
            self.at = self.whole.len();
        }
        Some(result.map(Part::Macro))
    }
}

impl<'a> Parts<'a> {
    fn bracketed(&mut self, rest: &'a [u8], open: u8, close: u8) -> Result<Macro<'a>, MacroError> {
        let length = balanced(&rest[1..], open, close).ok_or_else(|| self.error("truncated macro reference"))?;
        let inner = &rest[2..length];
        if inner.is_empty() {
            return Err(self.error("empty macro name"));
        }
        self.at += 1 + length;
        parse_inner(inner)
    }

    fn error(&self, text: &str) -> MacroError {
        MacroError::Syntax(format!("{text}: \"{}\"", shown(self.whole)))
    }
}

/// The inside of `${…}`.
fn parse_inner(inner: &[u8]) -> Result<Macro<'_>, MacroError> {
    let inner = skip_blanks(inner);
    if inner.first() == Some(&b'{') {
        let (left, rest) = take_braced(inner)?;
        let rest = skip_blanks(rest);
        let Some(symbol) = SYMBOLS.into_iter().find(|symbol| operator_at(rest) == symbol.as_bytes()) else {
            return Err(unexpected(OPERATOR_EXPECTED, &[left, b"}"], rest));
        };
        let rest = &rest[symbol.len()..];
        let (level, rest) = match rest.strip_prefix(b"level") {
            Some(rest) => (true, rest),
            None => (false, rest),
        };
        let suffix = &rest[..rest.iter().position(|byte| !byte.is_ascii_alphanumeric()).unwrap_or(rest.len())];
        if !suffix.is_empty() {
            return Err(unexpected("bad operator suffix at", &[symbol.as_bytes()], suffix));
        }
        let operand = skip_blanks(rest);
        if operand.first() != Some(&b'{') {
            return Err(unexpected("\"{expression}\" expected at", &[b"{", left, b"} ", symbol.as_bytes()], rest));
        }
        let (right, rest) = take_braced(operand)?;
        let subject = Subject::Relation(left, Operator { symbol, level }, right);
        return branches(subject, b"}", rest, "\"?\" or \":\" expected at");
    }
    let (name, rest) = inner.split_at(name_length(inner));
    if rest.first() == Some(&b'{')
        && let Some(function) = Function::named(name)
    {
        let (argument, rest) = take_braced(rest)?;
        return branches(Subject::Function(function, argument), b"}", rest, "\"?\" or \":\" expected at");
    }
    branches(Subject::Name(text_of(name)), name, rest, "attribute name syntax error at")
}

/// What follows the subject: nothing, `?then`, `:else`, or `?{then}:else`.
fn branches<'a>(subject: Subject<'a>, before: &[u8], rest: &'a [u8], otherwise_expected: &str) -> Result<Macro<'a>, MacroError> {
    let tail = skip_blanks(rest);
    let mut reference = Macro { subject, then: None, otherwise: None };
    match tail.first() {
        None => {}
        Some(b'?') => {
            let (then, after, in_braces) = branch(&tail[1..])?;
            reference.then = Some(then);
            match after.first() {
                None => {}
                Some(b':') => reference.otherwise = Some(last_branch(&after[1..])?),
                Some(_) => {
                    debug_assert!(in_braces);
                    return Err(unexpected("\":\" expected at", &[then, b"}"], after));
                }
            }
        }
        Some(b':') => reference.otherwise = Some(last_branch(&tail[1..])?),
        Some(_) => {
            // Blanks before the wrong text are shown after a name, not after an operand.
            let rest = if matches!(subject, Subject::Name(_)) { rest } else { tail };
            return Err(unexpected(otherwise_expected, &[before], rest));
        }
    }
    Ok(reference)
}

/// One branch and what follows it; without braces it takes everything.
fn branch(text: &[u8]) -> Result<(&[u8], &[u8], bool), MacroError> {
    let trimmed = skip_blanks(text);
    if trimmed.first() != Some(&b'{') {
        return Ok((text, b"", false));
    }
    let (inside, rest) = take_braced(trimmed)?;
    Ok((inside, skip_blanks(rest), true))
}

fn last_branch(text: &[u8]) -> Result<&[u8], MacroError> {
    let (inside, rest, _) = branch(text)?;
    if rest.is_empty() { Ok(inside) } else { Err(unexpected("unexpected input at", &[inside, b"}"], rest)) }
}

const SYMBOLS: [&str; 6] = ["==", "!=", "<=", "<", ">=", ">"];
// The quotation marks are Postfix's own.
const OPERATOR_EXPECTED: &str = "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at";

/// All operator characters at the start.
fn operator_at(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| !b"=!<>".contains(byte)).unwrap_or(text.len());
    &text[..end]
}

fn take_braced(text: &[u8]) -> Result<(&[u8], &[u8]), MacroError> {
    let length = balanced(text, b'{', b'}')
        .ok_or_else(|| MacroError::Syntax(format!("unbalanced {{}} in attribute expression: \"{}\"", shown(text))))?;
    Ok((&text[1..length - 1], &text[length..]))
}

/// Length of the bracketed text at the start, both brackets included.
fn balanced(text: &[u8], open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.iter().enumerate() {
        if *byte == open {
            depth += 1;
        } else if *byte == close {
            depth -= 1;
            if depth == 0 {
                return Some(at + 1);
            }
        }
    }
    None
}

fn name_length(text: &[u8]) -> usize {
    text.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(text.len())
}

fn text_of(name: &[u8]) -> &str {
    // Only ASCII letters, digits and `_` get here.
    std::str::from_utf8(name).unwrap_or_default()
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(text.len());
    &text[start..]
}

fn shown(text: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(text)
}

/// Postfix shows what it has read, and at most 20 bytes of what it did not expect.
fn unexpected(what: &str, before: &[&[u8]], after: &[u8]) -> MacroError {
    let after = &after[..after.len().min(20)];
    MacroError::Syntax(format!("{what}: \"...{}>>>{}\"", shown(&before.concat()), shown(after)))
}

impl Operator {
    fn holds(self, left: &[u8], right: &[u8]) -> Result<bool, MacroError> {
        let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        let order = if self.level {
            Level::parse(&shown(left))?.cmp(&Level::parse(&shown(right))?)
        } else if digits(left) && digits(right) {
            number(left)?.cmp(&number(right)?)
        } else {
            left.cmp(right)
        };
        Ok(match self.symbol {
            "==" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">=" => order.is_ge(),
            _ => order.is_gt(),
        })
    }
}

fn number(digits: &[u8]) -> Result<u64, MacroError> {
    let text = shown(digits);
    text.parse().ok().filter(|number| i64::try_from(*number).is_ok()).ok_or_else(|| MacroError::Number(text.into_owned()))
}

/// `compatibility_level`: `3`, `3.6` or `3.6.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level {
    major: u32,
    minor: u32,
    patch: u32,
}

impl Level {
    /// Reads a level.
    pub fn parse(text: &str) -> Result<Level, MacroError> {
        let bad = || MacroError::Syntax(format!("malformed compatibility level syntax: \"{text}\""));
        let mut numbers = [0; 3];
        for (at, part) in text.split('.').enumerate() {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            *numbers.get_mut(at).filter(|_| digits).ok_or_else(bad)? = part.parse().map_err(|_| bad())?;
        }
        Ok(Level { major: numbers[0], minor: numbers[1], patch: numbers[2] })
    }
}

impl Function {
    fn named(name: &[u8]) -> Option<Function> {
        match name {
            b"domain_to_ascii" => Some(Function::DomainToAscii),
            b"domain_to_utf8" => Some(Function::DomainToUtf8),
            _ => None,
        }
    }

    fn apply(self, argument: Vec<u8>) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&argument) else { return argument };
        let result = match self {
            Function::DomainToAscii if text.is_ascii() => None,
            Function::DomainToAscii => idna::domain_to_ascii(text).ok(),
            Function::DomainToUtf8 => match idna::domain_to_unicode(text) {
                (result, Ok(())) => Some(result),
                (_, Err(_)) => None,
            },
        };
        result.map_or_else(|| argument.clone(), String::into_bytes)
    }
}

#[cfg(test)]
mod tests;

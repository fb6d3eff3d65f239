//! The tokens of RFC 822 addresses: words, comments, domain literals and single characters with a meaning.
//!
//! The scanner accepts anything. What is not closed (`"…`, `(…`, `[…`) ends with the text. White space only separates.

use bstr::BString;
use std::borrow::Cow;

/// One lexical token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// A word without quoting.
    Atom(Cow<'a, [u8]>),
    /// A quoted string, or a word with backslashes; the content without quotes and backslashes.
    Quoted(Cow<'a, [u8]>),
    /// `[…]`, brackets included.
    Literal(Cow<'a, [u8]>),
    /// `(…)`, parentheses and backslashes included.
    Comment(Cow<'a, [u8]>),
    /// One of `<>@,;:.%!|)]`.
    Op(u8),
}

impl Token<'_> {
    /// Whether this is that operator.
    pub fn is(&self, op: u8) -> bool {
        matches!(self, Token::Op(c) if *c == op)
    }

    /// Words and literals: what an address is made of besides operators.
    pub fn is_word(&self) -> bool {
        matches!(self, Token::Atom(_) | Token::Quoted(_) | Token::Literal(_))
    }

    /// The same token, owning its text.
    pub fn into_owned(self) -> Token<'static> {
        let own = |text: Cow<'_, [u8]>| Cow::Owned(text.into_owned());
        match self {
            Token::Atom(t) => Token::Atom(own(t)),
            Token::Quoted(t) => Token::Quoted(own(t)),
            Token::Literal(t) => Token::Literal(own(t)),
            Token::Comment(t) => Token::Comment(own(t)),
            Token::Op(c) => Token::Op(c),
        }
    }
}

fn is_blank(c: u8) -> bool {
    matches!(c, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn is_op(c: u8) -> bool {
    matches!(c, b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' | b'%' | b'!' | b'|' | b')' | b']')
}

/// Splits `text` into at most `limit` tokens; what comes after them is dropped (`header_address_token_limit`).
pub fn scan(text: &[u8], limit: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(8);
    let mut at = 0;
    while at < text.len() && tokens.len() < limit {
        let c = text[at];
        if is_blank(c) {
            at += 1;
        } else if c == b'(' {
            let end = comment_end(text, at);
            // Its lines are where a header may be folded.
            tokens.push(Token::Comment(Cow::Borrowed(&text[at..end])));
            at = end;
        } else if c == b'[' {
            let (content, end) = quoted(text, at + 1, |c| c == b']');
            tokens.push(Token::Literal(Cow::Owned([b"[", &*content, b"]"].concat())));
            at = (end + 1).min(text.len());
        } else if c == b'"' {
            let (content, end) = quoted(text, at + 1, |c| c == b'"');
            tokens.push(Token::Quoted(content));
            at = (end + 1).min(text.len());
        } else if is_op(c) {
            tokens.push(Token::Op(c));
            at += 1;
        } else {
            let len = text[at..].iter().position(|&c| is_blank(c) || is_op(c) || matches!(c, b'(' | b'[' | b'"' | b'\\'));
            let end = len.map_or(text.len(), |n| at + n);
            if end + 1 == text.len() && text[end] == b'\\' && end == at {
                // Escapes nothing: an empty word, but where a word had to come anyhow.
                if !matches!(tokens.last(), Some(Token::Op(b'.' | b'@' | b'%' | b'!'))) {
                    tokens.push(Token::Quoted(Cow::Borrowed(b"")));
                }
                at = text.len();
            } else if text.get(end) == Some(&b'\\') {
                let (content, end) = quoted(text, at, |c| is_blank(c) || is_op(c) || matches!(c, b'(' | b'[' | b'"'));
                tokens.push(if needs_no_quotes(&content) { Token::Atom(content) } else { Token::Quoted(content) });
                at = end;
            } else {
                tokens.push(Token::Atom(Cow::Borrowed(&text[at..end])));
                at = end;
            }
        }
    }
    tokens
}

fn needs_no_quotes(word: &[u8]) -> bool {
    !word.is_empty() && !word.iter().any(|&c| is_blank(c) || is_op(c) || matches!(c, b'(' | b'[' | b'"' | b'\\'))
}

/// From `at` to the first character that ends it (not escaped), without backslashes. White space becomes a blank.
fn quoted(text: &[u8], mut at: usize, ends: impl Fn(u8) -> bool) -> (Cow<'_, [u8]>, usize) {
    let start = at;
    let plain = text[at..].iter().position(|&c| ends(c) || c == b'\\' || (is_blank(c) && c != b' '));
    at = plain.map_or(text.len(), |n| start + n);
    if text.get(at).is_none_or(|&c| ends(c)) {
        return (Cow::Borrowed(&text[start..at]), at);
    }
    let mut content = text[start..at].to_vec();
    while at < text.len() && !ends(text[at]) {
        if text[at] == b'\\' {
            at += 1;
        }
        if let Some(&c) = text.get(at) {
            content.push(if is_blank(c) { b' ' } else { c });
            at += 1;
        }
    }
    (Cow::Owned(content), at)
}

/// The end of the comment that starts at `at`, nested ones included.
fn comment_end(text: &[u8], mut at: usize) -> usize {
    let mut depth = 0;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at.min(text.len())
}

/// How tokens are put together to text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Quoted strings with their quotes, blanks between words, as in a header.
    External,
    /// Quoted strings with their quotes, nothing between words: what one address is when it is taken out of a header.
    Tight,
    /// Quoted strings bare, nothing between words: the internal form of one address that stood in a command.
    Bare,
    /// Quoted strings bare, blanks between words: the internal form of an address.
    Internal,
}

/// [`join`] for one address: no blank after a comma that is its last token.
pub(crate) fn join_address(tokens: &[Token<'_>], form: Form) -> BString {
    let mut out = join(tokens, form);
    if tokens.last().is_some_and(|token| token.is(b',')) && out.ends_with(b" ") {
        out.pop();
    }
    out
}

/// Puts tokens together. Operators stick to their neighbours but for `,` (blank after it) and `<` (blank before it).
pub fn join(tokens: &[Token<'_>], form: Form) -> BString {
    let mut out = BString::from(Vec::with_capacity(tokens.len() * 8));
    let mut after_word = false;
    for (n, token) in tokens.iter().enumerate() {
        put(&mut out, token, form, n > 0, &mut after_word);
    }
    out
}

/// Appends one token; `after_word` tells whether the token before was a word or comment, `after_any` whether there was one.
pub(crate) fn put(out: &mut BString, token: &Token<'_>, form: Form, after_any: bool, after_word: &mut bool) {
    let blank = match token {
        // One is enough after a comma; a word's own does not count.
        Token::Op(b'<') => after_any && (*after_word || !out.ends_with(b" ")),
        Token::Op(_) => false,
        _ => *after_word,
    };
    let tight = matches!(form, Form::Tight | Form::Bare);
    if blank && !tight {
        out.push(b' ');
    }
    match token {
        Token::Atom(t) | Token::Literal(t) => out.extend_from_slice(t),
        Token::Comment(t) => out.extend(t.iter().map(|&c| if matches!(c, b'\r' | b'\n') { b' ' } else { c })),
        Token::Quoted(t) if matches!(form, Form::Internal | Form::Bare) => out.extend_from_slice(t),
        Token::Quoted(t) => quote_into(out, t),
        Token::Op(c) => {
            out.push(*c);
            if *c == b',' && !tight {
                out.push(b' ');
            }
        }
    }
    *after_word = !matches!(token, Token::Op(_));
}

/// Appends `"text"` with backslashes where needed.
pub(crate) fn quote_into(out: &mut BString, text: &[u8]) {
    out.push(b'"');
    for &c in text {
        if matches!(c, b'"' | b'\\' | b'\r') {
            out.push(b'\\');
        }
        out.push(c);
    }
    out.push(b'"');
}

//! Address lists of message headers (RFC 5322 §3.4), such as that of `To:`, with everything that stands between the addresses.
//!
//! The parser takes whatever comes: groups, phrases, comments, source routes, lists without commas. It works from right to left,
//! because only `>` and `;` tell that what stands before them is not an address but a phrase or the members of a group.
//! Each address can be replaced in place; printing then gives the list in the form that Postfix gives it: comments after their
//! address, one blank after commas, old lines joined and folded anew.

use crate::token::{self, Form, Token};
use bstr::{BStr, BString};

/// Folding: text of a line, without the leading tab, stays below this many characters where a comma allows.
const WIDTH: usize = 70;

/// A parsed address list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressList<'a> {
    nodes: Vec<Node<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node<'a> {
    /// The external form of one address, without comments.
    Address(BString),
    /// A piece of phrase, a comment, `<`, `>`, `;`, or a stray character.
    Token(Token<'a>),
    /// The `:` after a group's name.
    Group,
    /// Between two elements; folding happens here.
    Comma,
}

impl<'a> AddressList<'a> {
    /// Parses the value of a header, line breaks included. Tokens beyond `limit` are dropped.
    pub fn parse(value: &'a [u8], limit: usize) -> AddressList<'a> {
        Parser { tokens: token::scan(value, limit), nodes: Vec::with_capacity(8), in_group: false }.run()
    }

    /// The addresses in external form; `<>` has none.
    pub fn addresses(&self) -> impl Iterator<Item = &BStr> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Address(text) => Some(text.as_ref()),
            _ => None,
        })
    }

    /// Whether there is anything besides addresses and the `<>` around them: phrases, comments, groups, commas.
    pub fn has_decoration(&self) -> bool {
        self.nodes.iter().any(|node| !matches!(node, Node::Address(_) | Node::Token(Token::Op(b'<' | b'>'))))
    }

    /// Offers each address in external form to `change`, which answers with the new external form, or `None` to leave it.
    /// Returns whether any changed by more than the blank after a comma.
    pub fn replace<E>(&mut self, mut change: impl FnMut(&BStr) -> Result<Option<BString>, E>) -> Result<bool, E> {
        let mut changed = false;
        for node in &mut self.nodes {
            let Node::Address(text) = node else { continue };
            if let Some(new) = change(text.as_ref())?
                && new != *text
                && !(text.contains(&b',') && without_comma_blanks(&new) == without_comma_blanks(text))
            {
                // Read anew: what was quoted may not be any more, and has its commas and blanks set right.
                *text = match new.iter().any(|c| matches!(c, b'[' | b'\\')) {
                    true => new,
                    false => token::join_address(&token::scan(&new, usize::MAX), Form::External),
                };
                changed = true;
            }
        }
        Ok(changed)
    }

    /// The list on one line.
    pub fn text(&self) -> BString {
        self.print(usize::MAX, 0)
    }

    /// `name: list`, folded at commas, without a final newline.
    pub fn header(&self, name: &BStr) -> BString {
        let mut out = BString::from(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(&self.print(WIDTH, name.len() + 1));
        out
    }

    fn print(&self, width: usize, start: usize) -> BString {
        // With a line end wherever it may be folded: after commas, and where comments were.
        let mut text = BString::from(Vec::with_capacity(self.nodes.len() * 16));
        let mut after_word = false;
        for node in &self.nodes {
            match node {
                Node::Address(address) => {
                    if after_word {
                        text.push(b' ');
                    }
                    text.extend_from_slice(address);
                    after_word = true;
                }
                Node::Token(Token::Comment(comment)) => {
                    if after_word {
                        text.push(b' ');
                    }
                    text.extend_from_slice(comment);
                    after_word = true;
                }
                Node::Token(token) => {
                    let after_any = !text.is_empty() && !text.ends_with(b"\n");
                    token::put(&mut text, token, Form::External, after_any, &mut after_word);
                }
                Node::Group => {
                    text.extend_from_slice(b": ");
                    after_word = false;
                }
                Node::Comma => {
                    text.extend_from_slice(b",\n");
                    after_word = false;
                }
            }
        }
        let mut lines = text.split(|&c| c == b'\n');
        let mut out = BString::from(lines.next().unwrap_or_default());
        out.reserve(text.len() + 16);
        let mut column = start + 1 + out.len();
        for line in lines {
            if width == usize::MAX || column + 1 + line.len() < width {
                out.push(b' ');
                column += 1 + line.len();
            } else {
                out.extend_from_slice(if line.first().is_some_and(|c| matches!(c, b' ' | b'\t')) { b"\n" } else { b"\n\t" });
                column = line.len();
            }
            out.extend_from_slice(line);
        }
        out
    }
}

fn without_comma_blanks(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &c in text {
        if c != b' ' || out.last() != Some(&b',') {
            out.push(c);
        }
    }
    out
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    /// In reverse.
    nodes: Vec<Node<'a>>,
    /// A `;` was seen: every `:` before it, but for those within `<>`, ends the name of a group.
    in_group: bool,
}

impl<'a> Parser<'a> {
    fn run(mut self) -> AddressList<'a> {
        while let Some(token) = self.tokens.pop() {
            match token {
                Token::Op(b',') => self.nodes.push(Node::Comma),
                Token::Op(b';') => {
                    self.in_group = true;
                    self.nodes.push(Node::Token(token));
                }
                Token::Op(b':') if self.in_group => {
                    self.nodes.push(Node::Group);
                    self.phrase(b",");
                }
                Token::Op(b'>') => {
                    self.nodes.push(Node::Token(token));
                    self.route_address();
                }
                _ => {
                    self.tokens.push(token);
                    self.address();
                }
            }
        }
        self.nodes.reverse();
        AddressList { nodes: self.nodes }
    }

    /// What stands before `<` or a group's `:`, up to one of `stop`.
    fn phrase(&mut self, stop: &[u8]) {
        while let Some(token) = self.tokens.pop_if(|t| !stop.iter().any(|&c| t.is(c))) {
            self.nodes.push(Node::Token(token));
        }
    }

    /// After `>`: the address within, `<`, and the phrase before it.
    fn route_address(&mut self) {
        let start = self.tokens.iter().rposition(|t| t.is(b'<')).map_or(0, |n| n + 1);
        let inner = self.tokens.split_off(start);
        let opened = self.tokens.pop().is_some();
        self.push_address(inner);
        if !opened {
            return;
        }
        self.nodes.push(Node::Token(Token::Op(b'<')));
        self.phrase(b",;:>");
        if !self.in_group
            && let Some(colon) = self.tokens.pop_if(|t| t.is(b':'))
        {
            self.nodes.push(Node::Token(colon));
        }
    }

    /// A bare address: words held together by operators. Two words side by side are two addresses.
    fn address(&mut self) {
        let mut from = self.tokens.len();
        let mut word = false;
        while let Some(token) = from.checked_sub(1).and_then(|n| self.tokens.get(n)) {
            match token {
                Token::Op(b',' | b';' | b'>') => break,
                Token::Op(b':') if self.in_group => break,
                Token::Op(_) => word = false,
                Token::Comment(_) => {}
                _ if word => break,
                _ => word = true,
            }
            from -= 1;
        }
        let inner = self.tokens.split_off(from);
        if !self.push_address(inner) {
            return;
        }
        let separated = match self.tokens.last() {
            None | Some(Token::Op(b',')) => true,
            Some(Token::Op(b':')) => self.in_group,
            Some(_) => false,
        };
        if !separated {
            self.nodes.push(Node::Comma);
        }
    }

    /// Adds an address made of these tokens; its comments follow it. Returns whether there was anything but comments.
    fn push_address(&mut self, inner: Vec<Token<'a>>) -> bool {
        let (comments, words): (Vec<_>, Vec<_>) = inner.into_iter().partition(|t| matches!(t, Token::Comment(_)));
        self.nodes.extend(comments.into_iter().rev().map(Node::Token));
        if !words.is_empty() {
            self.nodes.push(Node::Address(token::join_address(&words, Form::Tight)));
            return true;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteSlice;

    /// Names without a domain get one, as cleanup does with local mail: shows what is taken for an address.
    fn complete(value: &str) -> String {
        let mut list = AddressList::parse(value.as_bytes(), 1000);
        list.replace(|a| Ok::<_, ()>((!a.contains(&b'@')).then(|| [a.as_bytes(), b"@x"].concat().into()))).expect("cannot fail");
        list.header("To".into()).to_string()
    }

    /// What Postfix 3.7 makes of these (there with its own domain).
    #[test]
    fn parses_and_prints_as_postfix() {
        for (value, header) in [
            ("bob,carol", "To: bob@x, carol@x"),
            (",bob,", "To: , bob@x, "),
            ("bob carol", "To: bob@x, carol@x"),
            ("bob; carol", "To: bob@x;, carol@x"),
            ("(a)(b) bob", "To: bob@x (a) (b)"),
            ("bob(c)@ex (d)", "To: bob@ex (c) (d)"),
            ("Bob B. Bob <bob>", "To: Bob B.Bob <bob@x>"),
            ("\"Bob B.\"<bob>", "To: \"Bob B.\" <bob@x>"),
            ("Bob (comment) Bob <bob> (y)", "To: Bob (comment) Bob <bob@x>(y)"),
            ("Bob <bob> trailing", "To: Bob <bob@x>, trailing@x"),
            ("Bob <bob> Carol <carol>", "To: Bob <bob@x>Carol <carol@x>"),
            ("Bob <(c) bob>, <>", "To: Bob <bob@x (c)>, <>"),
            ("group:;", "To: group: ;"),
            ("group: bob;, carol", "To: group: bob@x;, carol@x"),
            ("My Group: Bob <bob>, (c) carol;", "To: My Group: Bob <bob@x>, carol@x (c);"),
            ("a: b: c;;", "To: a:b: c@x;;"),
            ("g:;h:;", "To: g:;h: ;"),
            ("g:a@b;e@f", "To: g: a@b;, e@f"),
            ("g:a@b,h:c@d;;", "To: g: a@b, h: c@d;;"),
            ("g:a:b,c:d@e:f;", "To: g:a: b@x, c:d@e: f@x;"),
            ("a:b; h:d", "To: a: b@x;, h:d@x"),
            ("g:a,x <h:c@d>;", "To: g: a@x, x <h:c@d>;"),
            ("g (x) : a (y) ; (z)", "To: g (x): a@x (y);(z)"),
            // Left of a `;` every colon ends a group's name, and none a route.
            ("a:b, c:d, e:f;", "To: a: b@x, c: d@x, e: f@x;"),
            ("a:b;, c:d, e:f;", "To: a: b@x;, c: d@x, e: f@x;"),
            ("bob, @r:a@b, g: c;", "To: bob@x, @r: a@b, g: c@x;"),
            ("g: c;, @r:a@b, bob", "To: g: c@x;, @r:a@b, bob@x"),
            ("N <a@b>: b, g: d;", "To: N <a@b>: b@x, g: d@x;"),
            ("Foo: <bob>", "To: Foo@x: <bob@x>"),
            ("http://x.y/z <bob>", "To: http@x://x.y/z <bob@x>"),
            ("(only comment), a@b", "To: (only comment), a@b"),
            ("\"Last, First\" <bob>", "To: \"Last, First\" <bob@x>"),
            ("\"a\n b\"\n <bob>", "To: \"a  b\" <bob@x>"),
            ("bob,\n\tcarol", "To: bob@x, carol@x"),
        ] {
            assert_eq!(complete(value), header, "{value}");
        }
    }

    #[test]
    fn folds_before_column_70() {
        let long = |n: usize| format!("zz, Foo <{}@x>, last@d", "c".repeat(n));
        assert_eq!(complete(&long(47)), format!("To: zz@x, Foo <{}@x>,\n\tlast@d", "c".repeat(47)));
        assert_eq!(complete(&long(50)), format!("To: zz@x, Foo <{}@x>,\n\tlast@d", "c".repeat(50)));
        assert_eq!(complete(&long(51)), format!("To: zz@x,\n\tFoo <{}@x>, last@d", "c".repeat(51)));
    }

    proptest::proptest! {
        /// Any bytes are taken, and what is printed parses to the same addresses again.
        #[test]
        fn takes_anything(value in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..60)) {
            let _ = AddressList::parse(&value, 1000).header("To".into());
        }

        #[test]
        fn prints_what_it_parses(value in "([a-c]|[a-c]|@| |,|\\.|\"a\"|\\(c\\)|<a@b>|;|:){0,20}") {
            let list = AddressList::parse(value.as_bytes(), 1000);
            let printed = list.text();
            let again = AddressList::parse(&printed, 1000);
            proptest::prop_assert_eq!(list.addresses().collect::<Vec<_>>(), again.addresses().collect::<Vec<_>>());
        }
    }
}

//! Rewriting to canonical form: what trivial-rewrite(8) calls a `rewrite` request.

use crate::Context;
use bstr::{BStr, BString, ByteSlice};
use posthaste_address::token::{self, Form, Token};
use posthaste_address::{Address, is_dot_string};
use posthaste_config::{Config, ConfigError};
use std::borrow::Cow;

/// Completes and normalises addresses. Needs no tables and never fails.
#[derive(Clone, Debug)]
pub struct Rewriter {
    pub(crate) swap_bangpath: bool,
    pub(crate) allow_percent_hack: bool,
    append_at_myorigin: bool,
    append_dot_mydomain: bool,
    /// `myorigin` and `mydomain`.
    local: (String, String),
    /// `remote_header_rewrite_domain`, empty for none.
    remote: String,
}

impl Rewriter {
    /// From main.cf.
    pub fn open(config: &Config) -> Result<Rewriter, ConfigError> {
        Ok(Rewriter {
            swap_bangpath: config.bool("swap_bangpath")?,
            allow_percent_hack: config.bool("allow_percent_hack")?,
            append_at_myorigin: config.bool("append_at_myorigin")?,
            append_dot_mydomain: config.bool("append_dot_mydomain")?,
            local: (config.origin()?, config.text("mydomain")?),
            remote: config.text("remote_header_rewrite_domain")?,
        })
    }

    /// Whether headers of mail from this context are rewritten at all (`remote_header_rewrite_domain`).
    pub fn rewrites_headers(&self, context: Context) -> bool {
        context == Context::Local || !self.remote.is_empty()
    }

    /// Rewrites an address in internal form.
    pub fn rewrite(&self, context: Context, address: &Address) -> Address {
        match self.rewrite_external(context, &address.external_cow()) {
            None => address.clone(),
            Some(text) => Address::new(internal(&text)),
        }
    }

    /// Rewrites an address in external form; `None` when it is canonical already.
    pub fn rewrite_external(&self, context: Context, address: &BStr) -> Option<BString> {
        if address.is_empty() || is_canonical(address) {
            return None;
        }
        let mut tokens = token::scan(address, usize::MAX);
        match tokens.as_slice() {
            [Token::Quoted(text)] if text.is_empty() => return None,
            [Token::Op(b'@')] => return Some("\"\"".into()),
            _ => {}
        }
        self.rewrite_tokens(context, &mut tokens);
        let external = Address::new(token::join(&tokens, Form::Internal)).external();
        let external = if external.is_empty() { "\"\"".into() } else { external };
        (external != address).then_some(external)
    }

    /// Strips a source route, swaps operators, completes the domain.
    fn rewrite_tokens<'a>(&'a self, context: Context, tokens: &mut Vec<Token<'a>>) {
        strip_route(tokens);
        self.swap_operators(tokens);
        let (origin, domain) = match context {
            Context::Local => (self.local.0.as_str(), self.local.1.as_str()),
            Context::Remote => (self.remote.as_str(), self.remote.as_str()),
        };
        if self.append_at_myorigin && !origin.is_empty() && !tokens.iter().any(|t| t.is(b'@')) {
            tokens.push(Token::Op(b'@'));
            tokens.extend(token::scan(origin.as_bytes(), usize::MAX));
        }
        if self.append_dot_mydomain && !domain.is_empty() && needs_domain(tokens) {
            tokens.push(Token::Op(b'.'));
            tokens.extend(token::scan(domain.as_bytes(), usize::MAX));
        }
        if let [.., before, Token::Op(b'.')] = tokens.as_slice()
            && !before.is(b'.')
            && !before.is(b'@')
        {
            tokens.pop();
        }
    }

    /// What is left of an address when a domain of ours is taken off it, once `!` or `%` in it, or what had been in quotes, is taken for
    /// routing: complete, with a domain. `None` when nothing in it can be. `dequoted` is `resolve_dequoted_address`.
    pub(crate) fn reroute(&self, local: &[u8], dequoted: bool) -> Option<BString> {
        let plain = is_dot_string(local);
        if !plain && !dequoted {
            return None; // Operators in quotes are none.
        }
        let percent = || if self.allow_percent_hack { local.rfind_byte(b'%') } else { None };
        if !plain && let Some(at) = local.rfind_byte(b'@').or_else(percent) {
            // As it stands: what looks like quotes, comments and literals is neither.
            let user = match local[..at].find_byte(b':') {
                Some(colon) if local.starts_with(b"@") => &local[colon + 1..at],
                _ => &local[..at],
            };
            let mut site = vec![Token::Op(b'@')];
            site.extend(token::scan(&local[at + 1..], usize::MAX));
            let mut text = BString::from([user, &local[at..]].concat());
            // An `@` within takes the place of `%` here.
            text[user.len()] = b'@';
            if self.append_dot_mydomain && needs_domain(&site) {
                text.push(b'.');
                text.extend_from_slice(self.local.1.as_bytes());
            }
            return Some(text);
        }
        if !(self.swap_bangpath && local.contains(&b'!') || self.allow_percent_hack && local.contains(&b'%')) {
            return None;
        }
        let mut tokens = token::scan(local, usize::MAX);
        self.rewrite_tokens(Context::Local, &mut tokens);
        Some(token::join(&tokens, Form::Internal)).filter(|text| text.contains(&b'@'))
    }

    /// `site!user` to `user@site`, `user%site` to `user@site`, where there is no `@`.
    fn swap_operators(&self, tokens: &mut Vec<Token<'_>>) {
        if tokens.iter().any(|t| t.is(b'@')) {
            return;
        }
        if self.swap_bangpath
            && let Some(bang) = tokens.iter().position(|t| t.is(b'!'))
        {
            let mut user = tokens.split_off(bang + 1);
            tokens.pop();
            if tokens.is_empty() && !user.is_empty() {
                // For no site at all, Postfix leaves no blanks between words either.
                user = vec![Token::Quoted(Cow::Owned(token::join(&user, Form::Bare).into()))];
            }
            user.push(Token::Op(b'@'));
            user.append(tokens);
            *tokens = user;
        } else if self.allow_percent_hack
            && let Some(percent) = tokens.iter_mut().rev().find(|t| t.is(b'%'))
        {
            *percent = Token::Op(b'@');
        }
    }
}

/// The internal form of a rewritten address.
fn internal(external: &[u8]) -> BString {
    match external.iter().any(|c| matches!(c, b'"' | b'\\' | b' ' | b'<' | b',' | b'(' | b'[')) {
        true => token::join(&token::scan(external, usize::MAX), Form::Internal),
        false => external.into(),
    }
}

/// `@a,@b:user@c` to `user@c`.
fn strip_route(tokens: &mut Vec<Token<'_>>) {
    if tokens.first().is_some_and(|t| t.is(b'@'))
        && let Some(colon) = tokens.iter().position(|t| t.is(b':'))
        && colon + 1 < tokens.len()
    {
        tokens.drain(..=colon);
    }
}

/// Whether the domain is a single name without a dot.
fn needs_domain(tokens: &[Token<'_>]) -> bool {
    let Some(at) = tokens.iter().rposition(|t| t.is(b'@')) else { return false };
    let domain = &tokens[at + 1..];
    !domain.iter().any(|t| t.is(b'.')) && domain.last().is_some_and(|t| !matches!(t, Token::Literal(_)))
}

/// The usual case, recognised without taking it apart: `local@domain.tld` of plain characters.
fn is_canonical(address: &[u8]) -> bool {
    let Some((local, domain)) = address.rsplit_once_str("@") else { return false };
    let word =
        |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'+' | b'=' | b'/' | b'\'' | b'%' | b'!' | b'#' | b'$' | b'&');
    let names = |text: &[u8], fits: fn(&u8) -> bool| text.split(|&c| c == b'.').all(|name| !name.is_empty() && name.iter().all(fits));
    names(local, word) && domain.contains(&b'.') && names(domain, |c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_'))
}

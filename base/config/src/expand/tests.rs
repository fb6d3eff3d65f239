//! Every pair was observed with `postconf -x` of Postfix 3.7.11, except the functions of 3.11.

use super::*;
use proptest::prelude::*;

fn run(text: &str) -> Result<String, MacroError> {
    let mut lookup = |name: &str| {
        Ok(match name {
            "a" => Some(b"one".to_vec()),
            "n" => Some(b"5".to_vec()),
            "empty" => Some(Vec::new()),
            "idn" => Some("bücher.example".into()),
            _ => None,
        })
    };
    expand(text.as_bytes(), &mut lookup).map(|bytes| String::from_utf8(bytes).unwrap())
}

fn ok(pairs: &[(&str, &str)]) {
    for (text, value) in pairs {
        assert_eq!(run(text).as_deref(), Ok(*value), "{text}");
    }
}

// S-CONF-03
#[test]
fn references() {
    ok(&[
        ("$a", "one"),
        ("$$a $(a) ${a}x", "$a one onex"),
        ("$$a$$$a", "$a$one"),
        ("$a-b$a.b", "one-bone.b"),
        ("$a_b|${nosuch}|", "||"),
        ("$aü", "oneü"),
        ("${ a }", "one"),
        ("${ }", ""),
        ("${a}}{", "one}{"),
        ("{$a", "{one"),
        ("$1${1}", ""),
    ]);
}

// S-CONF-04
#[test]
fn conditions() {
    ok(&[
        ("${a?yes}${a:no}${zz?yes}${zz:no}", "yesno"),
        ("${a?{yes}:{no}}${zz?{yes}:{no}}", "yesno"),
        ("${empty?{yes}:{no}}", "no"),
        ("${a?{x}:}${a?{x}: }${a?{x} :{y}}${a?{x} : y }", "xxxx"),
        ("${a?x:y}", "x:y"),
        ("${zz?a:b}", ""),
        ("x${a?{ y }}z|x${a? y }z", "x y z|x y z"),
        ("${a? {x} }", "x"),
        ("${a?x{y}z}", "x{y}z"),
        ("${a?x}:{y}}", "x:{y}}"),
        ("${a?$a}${a?{$a}:{$n}}", "oneone"),
        ("$(a?(x))$(a?y)z)", "(x)yz)"),
        ("${a?(x)}", "(x)"),
        ("${a?}${a:}${a?{}:{n}}|", "|"),
        // The branch not taken is not looked at.
        ("${nosuch?$}|${nosuch?${}}", "|"),
    ]);
}

#[test]
fn relations() {
    ok(&[
        ("${{$a} == {one} ? {eq} : {ne}}", "eq"),
        ("${{a}!={b}?{ne}}", "ne"),
        ("${{1}<{02}?{lt}:{ge}}", "lt"),
        ("${{10} < {9}?{y}:{n}}${{10a} < {9}?{y}:{n}}", "ny"),
        ("${{007} == {7}?{y}:{n}}${{ a } == {a}?{y}:{n}}", "yn"),
        ("${{} == {}?{y}:{n}}${{a} < {b}?{y}:{n}}${{a} > {b}?{y}:{n}}", "yyn"),
        ("${{a} == {a}}|${{a} == {b}}|", "true||"),
        ("${{a}=={a}?x}${{a}=={b}:x}${{a}=={a}:x}", "xx"),
        ("${{a}=={a}?{y{z}}:{n}}", "y{z}"),
        ("${{3.6} <level {3.10} ? {lt} : {ge}}${{3.10} <level {3.6} ? {lt}:{ge}}", "ltge"),
        ("${{3.6} ==level {3.6.0}?{y}:{n}}${{3.6.1} >level {3.6}?{y}:{n}}", "yy"),
        ("${{3} <level{4}?{y}:{n}}${{3} !=level{4}?{y}:{n}}${{3} >=level{4}?{y}:{n}}${{3} <=level{4}?{y}:{n}}", "yyny"),
    ]);
}

#[test]
fn functions() {
    ok(&[
        ("${domain_to_ascii{$idn}}", "xn--bcher-kva.example"),
        ("${domain_to_ascii{Example.COM}}", "Example.COM"),
        ("${domain_to_utf8{xn--bcher-kva.example}}", "bücher.example"),
        ("inline:{{.${domain_to_ascii{$a}}=x}}", "inline:{{.one=x}}"),
    ]);
}

#[test]
fn errors_have_postfix_words() {
    for (text, error) in [
        ("$a$", "empty macro name: \"$a$\""),
        ("$-x ${-}", "empty macro name: \"$-x ${-}\""),
        ("x${}", "empty macro name: \"x${}\""),
        ("xx ${a yy", "truncated macro reference: \"xx ${a yy\""),
        ("$(a}", "truncated macro reference: \"$(a}\""),
        ("${-}", "attribute name syntax error at: \"...>>>-\""),
        ("${a b}", "attribute name syntax error at: \"...a>>> b\""),
        ("${mydomain == example.com ? {same} : {other}}", "attribute name syntax error at: \"...mydomain>>> == example.com ? {s\""),
        ("${nosuch{x}}", "attribute name syntax error at: \"...nosuch>>>{x}\""),
        ("${a?{x}y}", "\":\" expected at: \"...x}>>>y\""),
        ("${{a}=={a} ? {x} z}", "\":\" expected at: \"...x}>>>z\""),
        ("${a:{x}:{y}}", "unexpected input at: \"...x}>>>:{y}\""),
        ("${{a} == {b} ? {c} : {d} e}", "unexpected input at: \"...d}>>>e\""),
        ("${{a}=={a} z}", "\"?\" or \":\" expected at: \"...}>>>z\""),
        ("${{a}<{b}<{c}}", "\"?\" or \":\" expected at: \"...}>>><{c}\""),
        ("${{a}==}", "\"{expression}\" expected at: \"...{a} ==>>>\""),
        ("${{a} == b}", "\"{expression}\" expected at: \"...{a} ==>>> b\""),
        ("${{a}==b}", "bad operator suffix at: \"...==>>>b\""),
        ("${{a} <leve {b}}", "bad operator suffix at: \"...<>>>leve\""),
        ("$({a} == {b)", "unbalanced {} in attribute expression: \"{b\""),
        ("$(a?{x)", "unbalanced {} in attribute expression: \"{x\""),
        ("${{a} <level {3}}", "malformed compatibility level syntax: \"a\""),
        ("${{3.6.1.1} <level {3}}", "malformed compatibility level syntax: \"3.6.1.1\""),
        ("${{} <level {3}}", "malformed compatibility level syntax: \"\""),
        ("${{99999999999999999999} > {1}}", "mac_exp_eval: bad conversion: 99999999999999999999"),
    ] {
        assert_eq!(run(text).unwrap_err().to_string(), error, "{text}");
    }
    for (text, after) in [("${{a} =~ {b}}", "=~ {b}"), ("${{a} === {b}}", "=== {b}"), ("${{a}}", "")] {
        let error = format!("\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}}>>>{after}\"");
        assert_eq!(run(text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn names_are_found_in_all_branches() {
    let mut found = Vec::new();
    names(b"$a ${b?{$c}:{${d}}} ${{$e} == {x} ? $f} ${domain_to_ascii{$g}} $$h", &mut |name| found.push(name.to_owned())).unwrap();
    assert_eq!(found, ["a", "b", "c", "d", "e", "f", "g"]);
}

proptest! {
    #[test]
    fn any_text_ends_in_a_value_or_an_error(text in r"[a${}():?=<! é]{0,40}") {
        let _ = run(&text);
    }

    #[test]
    fn text_without_dollar_stays(text in "[^$]*") {
        prop_assert_eq!(run(&text), Ok(text));
    }

    #[test]
    fn doubled_dollars_come_back(text in "\\PC*") {
        prop_assert_eq!(run(&text.replace('$', "$$")), Ok(text));
    }
}

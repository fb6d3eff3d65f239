//! For the targets of `fuzz/`: parsers of this crate that read what others wrote, and that nobody else has a use for.

use crate::restrictions::{parse_policy_reply, result_list};
use bstr::BString;

/// The action of a policy server's reply, and the number of bytes that the reply takes of what has come. `None`: more has to come, or there
/// is no action in it.
pub fn policy_action(reply: &[u8]) -> Option<(BString, usize)> {
    parse_policy_reply(reply)
}

/// The restrictions that a table's or a policy server's answer consists of, as text.
pub fn restrictions(answer: &str) -> Vec<String> {
    result_list(answer)
}

//! Message structure as a state machine: header lines (folded), MIME structure, body, nested messages, 8-bit conversion. No I/O.

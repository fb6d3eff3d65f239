//! A stub resolver that means what libresolv means: `resolv.conf`, `/etc/hosts`, `trust-ad`, the AD bit, EDNS, retry over TCP, and a
//! cache. Answers are found, not found (no such name or no such data), or failed (try again), with Postfix's texts.

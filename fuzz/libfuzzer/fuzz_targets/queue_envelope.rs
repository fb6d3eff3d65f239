#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| posthaste_fuzz_targets::queue_envelope(data));

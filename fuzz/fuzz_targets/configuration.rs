#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| teeter_fuzz::configuration(data));

//! Any bytes as the encrypted token file, as its key file, and as what was encrypted: nothing panics, nothing is
//! believed that was not encrypted, and what is read is what would be written.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| hfd_daemon::store::read_for_fuzzing(content));

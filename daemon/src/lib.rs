//! hfdd: owns the keychain and keeps the Hugging Face token files in step with it.

pub mod store;

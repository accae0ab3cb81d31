//! The generations of huggingface_hub that people have installed.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use crate::command::Run;
use crate::sandbox::Sandbox;

/// What Python sees of a mirror; every version has these two functions here.
const LOOK: &str = "
import json
from huggingface_hub.utils import get_token
from huggingface_hub.utils._auth import get_stored_tokens
print(json.dumps({'active': get_token(), 'stored': get_stored_tokens()}))
";

/// One installed version of huggingface_hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Its version, such as `0.26.5`.
    pub version: String,
    venv: PathBuf,
}

impl Client {
    /// The versions under test, oldest first: the virtual environments that `HFD_TEST_VENVS` lists.
    ///
    /// # Panics
    /// When the tests were not started by `tests/run`.
    pub fn all() -> Vec<Self> {
        let venvs = env::var_os("HFD_TEST_VENVS")
            .expect("HFD_TEST_VENVS lists no virtual environments: run the tests by `tests/run`");
        let client = |venv: PathBuf| {
            let name = venv.file_name()?.to_str()?;
            let version = name.strip_prefix("huggingface_hub-")?.to_owned();
            Some(Self { version, venv })
        };
        env::split_paths(&venvs)
            .map(|venv| client(venv.clone()).unwrap_or_else(|| panic!("{venv:?} has no version")))
            .collect()
    }

    /// Major and minor version.
    ///
    /// # Panics
    /// When the version has no such.
    pub fn generation(&self) -> (u32, u32) {
        let mut numbers = self.version.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => (major, minor),
            _ => panic!("{:?} is no version", self.version),
        }
    }

    /// The path of one of its programs: `python`, or a command of its own.
    ///
    /// # Panics
    /// When the path is not UTF-8.
    pub fn program(&self, name: &str) -> String {
        let path = self.venv.join("bin").join(name).into_os_string();
        path.into_string().expect("a path in UTF-8")
    }

    /// Its command line: `login`, `logout`, or `switch` and `list`, which it has below `auth` from
    /// the beginning. It does not look for a newer version of itself.
    pub fn auth<'s, A: AsRef<OsStr>>(
        &self,
        sandbox: &'s Sandbox,
        args: impl IntoIterator<Item = A>,
    ) -> Run<'s> {
        let args: Vec<_> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let below = args[0] == "switch" || args[0] == "list";
        let (program, prefix) = match self.generation() {
            (0, ..34) if !below => ("huggingface-cli", None),
            (0, ..34) => ("huggingface-cli", Some("auth".into())),
            _ => ("hf", Some("auth".into())),
        };
        // 1.0 knows no variable against its look for a newer version, only when it last looked.
        sandbox.write_hf_file(".check_for_update_done", "");
        self.run(sandbox, program, prefix.into_iter().chain(args))
            .env("HF_HUB_DISABLE_UPDATE_CHECK", "1")
    }

    /// What it sees: `{"active": VALUE or null, "stored": {NAME: VALUE}}`.
    #[track_caller]
    pub fn looks(&self, sandbox: &Sandbox) -> serde_json::Value {
        self.run(sandbox, "python", ["-c", LOOK]).ok().json()
    }

    fn run<'s, A: AsRef<OsStr>>(
        &self,
        sandbox: &'s Sandbox,
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Run<'s> {
        let program = self.venv.join("bin").join(program);
        Run::new(sandbox, program, args).tells()
    }
}

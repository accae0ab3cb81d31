//! What huggingface_hub does to the files (`utils/_auth.py` and `_login.py` of 2.4).

use hfd_core::ini::Document;
use hfd_core::observe::Stored;

use super::world::{World, section};

impl World {
    /// `hf auth login`: the section anew, then `token`.
    pub(crate) fn tool_login(&mut self, at: &str, text: &str) {
        self.tool_saves(at, text);
        let access = text.split(['+', '@']).next().expect("a value");
        self.token = Some(format!("hf_{access}"));
    }

    /// The first half of a login. A file that does not parse is an empty one to it.
    pub(crate) fn tool_saves(&mut self, at: &str, text: &str) {
        let kept = self.tool_reads().into_iter().filter(|(old, _)| old != at);
        let kept: String = kept.map(|(_, text)| text).collect();
        self.stored = Some(kept + &section(at, text));
    }

    /// `hf auth logout NAME`
    pub(crate) fn tool_logout(&mut self, at: &str) {
        let sections = self.tool_reads();
        let Some((_, gone)) = sections.iter().find(|(old, _)| old == at) else {
            return;
        };
        let gone = Stored::parse(gone.as_bytes());
        let kept = sections.iter().filter(|(old, _)| old != at);
        self.stored = Some(kept.map(|(_, text)| text.as_str()).collect());
        if let (Stored::Sections(gone), Some(token)) = (gone, &self.token) {
            let value = gone.first().and_then(|section| section.access.as_ref());
            if value.is_some_and(|value| value.expose() == token) {
                self.token = None;
            }
        }
    }

    /// `hf auth logout`
    pub(crate) fn tool_logout_all(&mut self) {
        (self.stored, self.token) = (None, None);
    }

    /// `hf auth switch`
    pub(crate) fn tool_switch(&mut self, to: &str) {
        let Stored::Sections(sections) = self.look().stored else {
            return;
        };
        let section = sections.into_iter().find(|section| section.name == to);
        if let Some(access) = section.and_then(|section| section.access) {
            self.token = Some(access.expose().to_owned());
        }
    }

    /// Any write of huggingface_hub 0.26 to 1.19 drops what it does not know.
    pub(crate) fn old_tool_rewrites(&mut self) {
        let kept = self.tool_reads().into_iter().map(|(_, text)| {
            let ours = text
                .lines()
                .filter(|line| !line.starts_with("refresh_token") && !line.starts_with("expires_"));
            ours.map(|line| format!("{line}\n")).collect::<String>()
        });
        self.stored = Some(kept.collect());
    }

    fn tool_reads(&self) -> Vec<(String, String)> {
        let content = self.stored.clone().unwrap_or_default();
        let Ok(document) = Document::parse(content.as_bytes()) else {
            return Vec::new();
        };
        let texts = document.sections().map(|(name, entries)| {
            let lines = entries.map(|(key, value)| format!("{key} = {value}\n"));
            (
                name.to_owned(),
                format!("[{name}]\n{}\n", lines.collect::<String>()),
            )
        });
        texts.collect()
    }
}

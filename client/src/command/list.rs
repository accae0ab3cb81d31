//! `hfd list`

use hfd_proto::{Entry, List, escape};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Answer, Page};
use crate::table::Table;
use crate::{Context, session, time};

pub(crate) fn run(context: &Context) -> Result<(), Failure> {
    let home = context.env.home_if_usable();
    let listed = session::ask(&context.env, List { home })?;
    context.output.answer(&Tokens {
        entries: &listed.tokens,
        now: time::now(),
    })
}

#[derive(Serialize)]
#[serde(transparent)]
struct Tokens<'a> {
    entries: &'a [Entry],
    #[serde(skip)]
    now: i64,
}

impl Answer for Tokens<'_> {
    fn human(&self, page: &mut Page) {
        if self.entries.is_empty() {
            page.line("There are no tokens; `hfd login` adds one.");
            return;
        }
        let mut table = Table::new(&[
            "", "name", "user", "role", "token", "store", "expires", "endpoint",
        ]);
        for entry in self.entries {
            table.row(self.row(entry));
        }
        table.write(page);
    }
}

impl Tokens<'_> {
    fn row(&self, entry: &Entry) -> Vec<String> {
        let known = |text: &Option<String>| text.as_deref().map(escape).unwrap_or_default();
        let expires = entry
            .expires_at
            .and_then(|moment| time::expiry(moment, entry.renews, self.now));
        // The default endpoint is not worth a column.
        let endpoint = Some(entry.endpoint.as_str()).filter(|_| !entry.endpoint.is_default());
        vec![
            if entry.active { "*" } else { "" }.to_owned(),
            entry.name.escaped(),
            known(&entry.user),
            known(&entry.role),
            known(&entry.masked),
            escape(entry.store.as_str()),
            expires.unwrap_or_default(),
            endpoint.unwrap_or_default().to_owned(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use hfd_proto::{Endpoint, TokenName};

    use super::*;
    use crate::output::shown;

    /// As a daemon says it; a field that it may have besides does not concern these tests.
    fn entry(name: &str) -> Entry {
        let entry = serde_json::json!({
            "name": name,
            "active": false,
            "kind": "access-token",
            "role": null,
            "user": null,
            "endpoint": "https://huggingface.co",
            "expires_at": null,
            "masked": "hf_****WXYZ",
            "store": "secret-service",
        });
        serde_json::from_value(entry).unwrap()
    }

    fn tokens(entries: &[Entry]) -> Tokens<'_> {
        Tokens {
            entries,
            now: 1_000_000,
        }
    }

    #[test]
    fn the_active_token_is_marked_and_what_nobody_has_takes_no_room() {
        let active = Entry {
            active: true,
            user: Some("alice".to_owned()),
            role: Some("write".to_owned()),
            ..entry("work")
        };
        assert_eq!(
            shown(&tokens(&[entry("ci \u{202e}x"), active])),
            "   name          user   role   token        store\n   \
                ci \\u{202e}x                hf_****WXYZ  secret-service\n\
             *  work          alice  write  hf_****WXYZ  secret-service\n"
        );
    }

    #[test]
    fn expiry_and_a_foreign_hub_are_shown_where_there_are_any() {
        let other = Entry {
            expires_at: Some(1_259_200),
            endpoint: Endpoint::parse("https://hub.example").unwrap(),
            masked: None,
            ..entry("a")
        };
        let renews = Entry {
            renews: true,
            name: TokenName::parse("b").unwrap(),
            endpoint: Endpoint::default(),
            ..other.clone()
        };
        let ended = Entry {
            expires_at: Some(1_000_000 - 86_400 * 2),
            name: TokenName::parse("c").unwrap(),
            ..renews.clone()
        };
        assert_eq!(
            shown(&tokens(&[other, renews, ended])),
            "name  store           expires                    endpoint\n\
             a     secret-service  in 3 days                  https://hub.example\n\
             b     secret-service  in 3 days, renewed before\n\
             c     secret-service  ended 2 days ago\n"
        );
    }

    #[test]
    fn json_is_an_array_of_the_entries() {
        let entries = [entry("a")];
        assert_eq!(
            serde_json::to_string(&tokens(&entries)).unwrap(),
            r#"[{"name":"a","active":false,"kind":"access-token","role":null,"user":null,"endpoint":"https://huggingface.co","expires_at":null,"renews":false,"masked":"hf_****WXYZ","store":"secret-service"}]"#
        );
    }

    #[test]
    fn no_tokens_is_said_in_words() {
        assert!(shown(&tokens(&[])).contains("hfd login"));
    }
}

//! Rules about which token belongs where, as `config.toml` and rule files have them.

use hfd_proto::{Pattern, TokenName};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// `[rules]`: for each pattern the token of the repositories that it matches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules(pub Vec<(Pattern, TokenName)>);

/// What stands in a rule file, `.hfd.toml`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuleFile {
    /// The token of the directory and all below it.
    #[serde(rename = "use")]
    pub all: Option<TokenName>,
    /// Tokens of repositories, whatever the directory says.
    pub rules: Rules,
}

impl<'de> Deserialize<'de> for Rules {
    /// Two rules of one pattern, which may be written with other capitals, are an error.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Rules;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a table of patterns and names")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Rules, A::Error> {
                let mut rules: Vec<(Pattern, TokenName)> = Vec::new();
                while let Some((pattern, name)) = map.next_entry::<Pattern, TokenName>()? {
                    if rules.iter().any(|(other, _)| *other == pattern) {
                        let message = format!("there are two rules for {pattern}");
                        return Err(A::Error::custom(message));
                    }
                    rules.push((pattern, name));
                }
                Ok(Rules(rules))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

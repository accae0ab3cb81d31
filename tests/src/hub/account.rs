use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whose a token is, as the Hub tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// What the person called the token in the Hub's settings (`displayName`). `None` for a token
    /// of a browser login, which has none.
    pub name: Option<String>,
    /// The user's name.
    pub user: String,
    /// `read`, `write`, `fineGrained`; the Hub may leave it out.
    #[serde(default)]
    pub role: Option<String>,
    /// The organisations that the user belongs to.
    #[serde(default)]
    pub orgs: Vec<String>,
}

impl Account {
    /// An access token with the role `write`, of a user without organisations.
    pub fn new(name: &str, user: &str) -> Self {
        Self {
            name: Some(name.to_owned()),
            user: user.to_owned(),
            role: Some("write".to_owned()),
            orgs: Vec::new(),
        }
    }

    /// A token of a browser login.
    pub fn oauth(user: &str) -> Self {
        Self {
            name: None,
            user: user.to_owned(),
            role: None,
            orgs: Vec::new(),
        }
    }

    /// The same account with another role.
    #[must_use]
    pub fn role(mut self, role: &str) -> Self {
        self.role = Some(role.to_owned());
        self
    }

    /// The same account in organisations.
    #[must_use]
    pub fn orgs(mut self, orgs: &[&str]) -> Self {
        self.orgs = orgs.iter().map(|org| (*org).to_owned()).collect();
        self
    }

    /// Whether the repositories of this owner are the account's.
    pub(super) fn owns(&self, owner: &str) -> bool {
        self.user == owner || self.orgs.iter().any(|org| org == owner)
    }

    /// The answer of a browser login's token, which ends at a time (`auth.expiresAt` of
    /// huggingface.js `who-am-i.ts`).
    pub(crate) fn whoami_until(&self, expires: Timestamp) -> Value {
        let mut answer = self.whoami();
        answer["auth"] = json!({ "type": "oauth", "expiresAt": format!("{expires:.3}") });
        answer
    }

    /// The answer of `GET /api/whoami-v2`, with the keys that the Hub's clients and documentation
    /// show (huggingface.js `who-am-i.ts`, huggingface_hub `hf_api.py`).
    pub(crate) fn whoami(&self) -> Value {
        let orgs: Vec<Value> = self.orgs.iter().map(|org| organisation(org)).collect();
        json!({
            "type": "user",
            "id": "5f0c746619cb630495b814fd",
            "name": self.user,
            "fullname": self.user,
            "isPro": false,
            "canPay": false,
            "emailVerified": true,
            "periodEnd": null,
            "avatarUrl": "/avatars/0.svg",
            "orgs": orgs,
            "auth": self.auth(),
        })
    }

    fn auth(&self) -> Value {
        let Some(name) = &self.name else {
            return json!({ "type": "oauth" });
        };
        let mut token = json!({ "displayName": name, "createdAt": "2026-01-02T03:04:05.000Z" });
        if let Some(role) = &self.role {
            token["role"] = json!(role);
        }
        if self.role.as_deref() == Some("fineGrained") {
            token["fineGrained"] =
                json!({ "canReadGatedRepos": false, "global": [], "scoped": [] });
        }
        json!({ "type": "access_token", "accessToken": token })
    }
}

fn organisation(name: &str) -> Value {
    json!({
        "type": "org",
        "id": "5e67bd5b1009063689407478",
        "name": name,
        "fullname": name,
        "isEnterprise": false,
        "canPay": false,
        "avatarUrl": "/avatars/1.svg",
        "roleInOrg": "contributor",
    })
}

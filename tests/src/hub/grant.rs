use std::fmt;

use serde_json::{Value, json};

use super::account::Account;
use super::policy::Policy;
use crate::canary::random_letters;

/// A login that was approved, through all its renewals.
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// Whom the tokens were issued to.
    pub client_id: String,
    /// The user's name.
    pub user: String,
    /// The newest access token.
    pub access: String,
    /// The newest refresh token.
    pub refresh: String,
    /// 1 after the login, and one more with each refresh.
    pub generation: usize,
    /// How often a refresh was tried with the refresh token of each generation, granted or not: one
    /// refresh for each renewal makes it `[1, 1, …, 0]`.
    pub uses: Vec<u32>,
    /// Whether it has been ended.
    pub revoked: bool,
    pub(super) account: Account,
    /// The refresh tokens of the generations before.
    spent: Vec<String>,
    pub(super) refresh_revoked: bool,
}

impl Grant {
    /// A login of this client that an account has approved.
    pub(super) fn new(client_id: &str, account: Account, policy: &Policy) -> Self {
        Self {
            client_id: client_id.to_owned(),
            user: account.user.clone(),
            access: access_token(policy),
            refresh: refresh_token(policy),
            generation: 1,
            uses: vec![0],
            revoked: false,
            account,
            spent: Vec::new(),
            refresh_revoked: false,
        }
    }

    /// Its next generation; the access token that it had.
    pub(super) fn renew(&mut self, policy: &Policy) -> String {
        self.spent.push(self.refresh.clone());
        if policy.rotation {
            self.refresh = refresh_token(policy);
        }
        self.generation += 1;
        self.uses.push(0);
        std::mem::replace(&mut self.access, access_token(policy))
    }

    /// The last generation that a refresh token is of; without rotation it is of several.
    pub(super) fn tried(&self, value: &str) -> Option<usize> {
        let refreshes = self.refresh_tokens().zip(1..);
        let own = refreshes.filter(|(token, _)| *token == value);
        own.map(|(_, generation)| generation).last()
    }

    /// The refresh tokens of all generations.
    pub(super) fn refresh_tokens(&self) -> impl Iterator<Item = &String> {
        self.spent.iter().chain([&self.refresh])
    }

    /// The answer that carries its tokens (RFC 6749, section 5.1).
    pub(super) fn answer(&self, policy: &Policy, with_refresh: bool) -> Value {
        let mut answer = json!({
            "access_token": self.access,
            "token_type": "bearer",
            "scope": "openid profile read-repos write-repos manage-repos inference-api",
        });
        if policy.says_expiry {
            answer["expires_in"] = json!(policy.access_lifetime.as_secs());
        }
        if with_refresh {
            answer["refresh_token"] = json!(self.refresh);
        }
        answer
    }
}

/// What can be shown of a grant: no secret.
impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("client_id", &self.client_id)
            .field("user", &self.user)
            .field("generation", &self.generation)
            .field("uses", &self.uses)
            .field("revoked", &self.revoked)
            .finish_non_exhaustive()
    }
}

/// In the real one a JWT follows the prefix; here its head, and letters.
fn access_token(policy: &Policy) -> String {
    let head = "hf_oauth_eyJhbGciOiJFZERTQSJ9.";
    let length = policy.token_length.saturating_sub(head.len() + 1).max(40);
    let body = random_letters(length);
    let (claims, signature) = body.split_at(length / 2);
    format!("{head}{claims}.{signature}")
}

fn refresh_token(policy: &Policy) -> String {
    format!(
        "hf_refresh_{}",
        random_letters(policy.token_length.saturating_sub(11).max(40))
    )
}

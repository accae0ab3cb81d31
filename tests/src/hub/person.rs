//! What a person does on the Hub's pages, and what a test sees of the logins.

use std::time::{Duration, Instant};

use super::account::Account;
use super::device::Device;
use super::grant::Grant;
use super::oauth::Reason;
use super::policy::Policy;
use super::routes::Refusal;
use super::server::Hub;
use crate::canary::Token;

/// The person in front of the browser.
impl Hub {
    /// Approves a waiting login, named by its user code or device code, as `alice`.
    ///
    /// # Panics
    /// When no login waits under this code.
    #[track_caller]
    pub fn approve(&self, code: &str) {
        self.approve_as(code, Account::oauth("alice"));
    }

    /// Approves a waiting login as another account.
    ///
    /// # Panics
    /// When no login waits under this code.
    #[track_caller]
    pub fn approve_as(&self, code: &str, account: Account) {
        let mut state = self.shared.state();
        let known = state.oauth.approve(code, account, Instant::now());
        drop(state);
        assert!(known, "no login waits for {code}");
    }

    /// Denies a waiting login.
    ///
    /// # Panics
    /// When no login waits under this code.
    #[track_caller]
    pub fn deny(&self, code: &str) {
        let known = self.shared.state().oauth.deny(code, Instant::now());
        assert!(known, "no login waits for {code}");
    }

    /// The logins that wait for the person, oldest first.
    pub fn pending(&self) -> Vec<Device> {
        self.shared.state().oauth.pending(Instant::now())
    }

    /// The newest login that waits for the person, as soon as there is one.
    ///
    /// # Panics
    /// When there is none after ten seconds.
    #[track_caller]
    pub fn wait_for_pending(&self) -> Device {
        self.wait_for_pending_beside(&[])
    }

    /// The same, passing over those that waited before.
    ///
    /// # Panics
    /// When there is none after ten seconds.
    #[track_caller]
    pub fn wait_for_pending_beside(&self, before: &[Device]) -> Device {
        let is_old = |device: &Device| before.iter().any(|old| old.user_code == device.user_code);
        self.shared.wait_for("a login waits", |state| {
            let pending = state.oauth.pending(Instant::now());
            pending.into_iter().rfind(|device| !is_old(device))
        })
    }
}

/// What is granted.
impl Hub {
    /// Changes what is granted from now on.
    pub fn policy(&self, change: impl FnOnce(&mut Policy)) {
        change(&mut self.shared.state().policy);
    }

    /// How long the access tokens live that are issued from now on.
    pub fn set_lifetime(&self, lifetime: Duration) {
        self.policy(|policy| policy.access_lifetime = lifetime);
    }

    /// Brings an access token to its end now.
    pub fn expire(&self, access: &str) {
        self.shared.state().oauth.expire(access, Instant::now());
    }

    /// The logins that were approved and fetched, oldest first.
    pub fn grants(&self) -> Vec<Grant> {
        self.shared.state().oauth.grants()
    }

    /// Waits until the first grant is of this generation: 1 is the login, 2 the first refresh.
    ///
    /// # Panics
    /// When it is not after ten seconds.
    #[track_caller]
    pub fn wait_for_generation(&self, generation: usize) -> Grant {
        self.shared
            .wait_for(&format!("generation {generation}"), |state| {
                let mut grants = state.oauth.grants().into_iter();
                grants.next().filter(|g| g.generation >= generation)
            })
    }

    /// Every secret of a browser login that was ever given out: for the search for tokens where
    /// none belong.
    pub fn issued(&self) -> Vec<Token> {
        self.shared.state().oauth.issued()
    }
}

/// What went wrong.
impl Hub {
    /// Requests whose bearer was refused, oldest first.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.shared.state().refusals.clone()
    }

    /// How many bearers were refused for this reason.
    pub fn refused(&self, reason: Reason) -> usize {
        let refusals = self.refusals();
        refusals.iter().filter(|r| r.reason == reason).count()
    }

    /// How many refreshes were refused as `invalid_grant`.
    pub fn invalid_grants(&self) -> u32 {
        self.shared.state().oauth.invalid_grants
    }

    /// Does something while no refresh is between its taking effect and `quiet` after its answer,
    /// and none can take effect. Whether it did. A refresh whose client has ended by then is not
    /// done, so a kill in here costs no refresh token.
    pub fn between_refreshes(&self, quiet: Duration, act: impl FnOnce()) -> bool {
        let state = self.shared.state();
        let recent = state.refreshed.is_some_and(|at| at.elapsed() < quiet);
        let free = state.refreshing == 0 && !recent;
        if free {
            act();
        }
        free
    }
}

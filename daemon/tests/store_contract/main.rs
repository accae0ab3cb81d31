//! What every store promises, asked of each of them: the one in memory that other tests use, the
//! encrypted file, and the keychain of the system: on Linux a real gnome-keyring, KeePassXC and KWallet, each on a bus of its own, on
//! Windows Credential Manager.
//!
//! What only a real keychain can do is asked of gnome-keyring alone, since neither of the other systems'
//! can be locked, frozen or ended by a test. macOS' keychain is that of whoever runs the tests, and is
//! not touched. Items of Credential Manager that a killed process was writing are asked for where their names are
//! known (`store/native/chunks`).

#![allow(clippy::unwrap_used, reason = "a test that meets an error has failed")]

mod bench;
#[cfg(windows)]
mod credential_manager;
mod faults;
#[cfg(unix)]
mod file_faults;
#[cfg(unix)]
mod file_keys;
#[cfg(target_os = "linux")]
mod keepassxc;
#[cfg(target_os = "linux")]
mod keyring;
#[cfg(target_os = "linux")]
mod keyring_faults;
#[cfg(target_os = "linux")]
mod kwallet;
#[cfg(target_os = "linux")]
mod provider;
mod stories;

/// One test per story and store.
macro_rules! contract {
    ($($story:ident),+ $(,)?) => {
        mod memory {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::bench::InMemory::new()).await;
            })+
        }
        mod file {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::bench::InFile::new()).await;
            })+
        }
        mod file_with_passphrase {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::bench::InFile::with_passphrase("a passphrase\n")).await;
            })+
        }
        #[cfg(windows)]
        mod windows {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::credential_manager::Manager::alone().await).await;
            })+
        }
        #[cfg(target_os = "linux")]
        mod keepassxc_provider {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::keyring::Keyring::keepassxc().await).await;
            })+
        }
        #[cfg(target_os = "linux")]
        mod kwallet_provider {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::keyring::Keyring::kwallet().await).await;
            })+
        }
        #[cfg(target_os = "linux")]
        mod gnome_keyring {
            $(#[tokio::test]
            async fn $story() {
                crate::stories::$story(&crate::keyring::Keyring::start().await).await;
            })+
        }
    };
}

contract![
    what_is_put_is_got_and_updated_in_place,
    absent_is_said_of_what_is_not_there,
    a_refresh_token_is_apart_from_its_token,
    names_of_every_shape_come_back,
    long_values_come_back_and_shrink,
    one_name_at_two_endpoints_is_two_tokens,
    one_value_under_two_names_is_kept_twice,
    two_hundred_items_are_found_and_removed,
    many_callers_at_once_are_all_answered,
    the_status_is_known_without_asking,
];

/// One test per story about failures, on each store that has them.
macro_rules! faults {
    ($($story:ident),+ $(,)?) => {
        mod memory_faults {
            $(#[tokio::test]
            async fn $story() {
                crate::faults::$story(&mut crate::bench::InMemory::new()).await;
            })+
        }
        #[cfg(target_os = "linux")]
        mod gnome_keyring_faults {
            $(#[tokio::test]
            async fn $story() {
                crate::faults::$story(&mut crate::keyring::Keyring::start().await).await;
            })+
        }
    };
}

faults![
    a_locked_store_says_so_at_once_and_opens_by_itself,
    a_lock_is_noticed_without_a_call,
    a_frozen_store_keeps_nobody_waiting_and_thaws_by_itself,
    a_write_over_a_freeze_is_the_old_value_or_the_new,
    a_store_that_ends_is_no_empty_store_and_comes_back,
    a_dropped_session_is_opened_again_unnoticed,
];

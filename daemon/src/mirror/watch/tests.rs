//! Watching, with real files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use rustix::fs::inotify::ReadFlags;
use tokio::time::timeout;

use super::super::{NewFiles, observe, write as write_files};
use super::source::Event;
use super::*;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn home(&self, directory: &str) -> Home {
        Home {
            token_path: self.path(directory).join("token"),
        }
    }
}

fn watching(homes: &[&Home]) -> Watch {
    let mut watch = Watch::new().unwrap();
    watch.set(homes.iter().map(|home| ((*home).clone(), true)).collect());
    watch
}

async fn next(watch: &mut Watch) -> Noticed {
    timeout(Duration::from_secs(20), watch.next())
        .await
        .expect("nothing was noticed")
}

/// Something happens to a home, and then it is quiet.
async fn settles(watch: &mut Watch, home: &Home) {
    assert_eq!(next(watch).await, Noticed::Busy(home.clone()));
    loop {
        match next(watch).await {
            Noticed::Busy(other) => assert_eq!(other, *home),
            Noticed::Quiet(other) => {
                assert_eq!(other, *home);
                return;
            }
        }
    }
}

/// Nothing that counts has happened: `marker` is the first thing noticed afterwards.
async fn nothing_but(watch: &mut Watch, marker: &Home) {
    fs::write(&marker.token_path, "hf_marker").unwrap();
    settles(watch, marker).await;
}

#[tokio::test]
async fn files_that_are_made_written_moved_or_removed_are_noticed() {
    let place = Place::new();
    let home = place.home("");
    let mut watch = watching(&[&home]);
    for name in ["token", "stored_tokens"] {
        fs::write(place.path(name), "1").unwrap();
        settles(&mut watch, &home).await;
        fs::write(place.path(name), "2").unwrap();
        settles(&mut watch, &home).await;
        fs::rename(place.path(name), place.path("away")).unwrap();
        settles(&mut watch, &home).await;
        fs::rename(place.path("away"), place.path(name)).unwrap();
        settles(&mut watch, &home).await;
        fs::remove_file(place.path(name)).unwrap();
        settles(&mut watch, &home).await;
    }
}

#[tokio::test]
async fn other_names_and_readers_are_not_noticed() {
    let place = Place::new();
    fs::create_dir(place.path("a")).unwrap();
    fs::create_dir(place.path("marker")).unwrap();
    let (home, marker) = (place.home("a"), place.home("marker"));
    fs::write(&home.token_path, "hf_one").unwrap();
    let mut watch = watching(&[&home, &marker]);
    fs::write(place.path("a/stored_tokens.lock"), "").unwrap();
    fs::write(place.path("a/.hfd-0123456789abcdef"), "").unwrap();
    fs::write(place.path("a/other"), "").unwrap();
    fs::remove_file(place.path("a/other")).unwrap();
    fs::read(&home.token_path).unwrap();
    nothing_but(&mut watch, &marker).await;
}

#[tokio::test]
async fn the_end_of_a_displaced_write_is_noticed() {
    let place = Place::new();
    let home = place.home("");
    fs::write(place.path("token"), "hf_one").unwrap();
    let mut watch = watching(&[&home]);
    let seen = observe(&home).unwrap();
    let writer = fs::OpenOptions::new()
        .write(true)
        .open(place.path("token"))
        .unwrap();
    let new = NewFiles {
        token: Some(Some(zeroize::Zeroizing::new(b"hf_two".to_vec()))),
        ..NewFiles::default()
    };
    let written = write_files(&home, &new, &seen, std::time::Instant::now()).unwrap();
    assert!(written.left_behind);
    settles(&mut watch, &home).await;
    drop(writer);
    settles(&mut watch, &home).await;
}

#[tokio::test]
async fn a_directory_that_comes_late_is_waited_for() {
    let place = Place::new();
    let home = place.home("a/b");
    let mut watch = watching(&[&home]);
    fs::create_dir(place.path("a")).unwrap();
    settles(&mut watch, &home).await;
    // At once, so that some of it happens before the watch has followed.
    fs::create_dir(place.path("a/b")).unwrap();
    fs::write(&home.token_path, "hf_one").unwrap();
    settles(&mut watch, &home).await;
    fs::write(&home.token_path, "hf_two").unwrap();
    settles(&mut watch, &home).await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_or_removed_is_watched_again() {
    let place = Place::new();
    let home = place.home("a");
    fs::create_dir(place.path("a")).unwrap();
    let mut watch = watching(&[&home]);
    fs::rename(place.path("a"), place.path("old")).unwrap();
    settles(&mut watch, &home).await;
    fs::create_dir(place.path("a")).unwrap();
    settles(&mut watch, &home).await;
    fs::write(&home.token_path, "hf_one").unwrap();
    settles(&mut watch, &home).await;
    fs::remove_dir_all(place.path("a")).unwrap();
    settles(&mut watch, &home).await;
    fs::create_dir(place.path("a")).unwrap();
    settles(&mut watch, &home).await;
    // The old one no longer counts.
    fs::write(place.path("old/token"), "hf_old").unwrap();
    fs::create_dir(place.path("marker")).unwrap();
    let marker = place.home("marker");
    watch.set(vec![(home, true), (marker.clone(), true)]);
    nothing_but(&mut watch, &marker).await;
}

#[tokio::test]
async fn what_a_link_leads_to_is_watched_and_so_is_the_link() {
    let place = Place::new();
    for directory in ["home", "dotfiles", "other"] {
        fs::create_dir(place.path(directory)).unwrap();
    }
    let home = place.home("home");
    fs::write(place.path("dotfiles/secret"), "hf_one").unwrap();
    symlink("../dotfiles/secret", &home.token_path).unwrap();
    let mut watch = watching(&[&home]);
    fs::write(place.path("dotfiles/secret"), "hf_two").unwrap();
    settles(&mut watch, &home).await;
    // It comes to lead elsewhere, where nothing is yet.
    fs::remove_file(&home.token_path).unwrap();
    symlink("../other/secret", &home.token_path).unwrap();
    settles(&mut watch, &home).await;
    fs::write(place.path("other/secret"), "hf_three").unwrap();
    settles(&mut watch, &home).await;
}

#[tokio::test]
async fn a_constant_writer_does_not_put_off_quiet_for_ever() {
    let place = Place::new();
    let home = place.home("");
    let mut watch = watching(&[&home]);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (stop, path) = (stop.clone(), home.token_path.clone());
        std::thread::spawn(move || {
            while !stop.load(std::sync::atomic::Ordering::Acquire) {
                fs::write(&path, "hf_busy").unwrap();
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    };
    let started = Instant::now();
    let quiet = timeout(Duration::from_secs(20), async {
        while watch.next().await != Noticed::Quiet(home.clone()) {}
    });
    quiet.await.unwrap();
    assert!(started.elapsed() >= QUIET);
    stop.store(true, std::sync::atomic::Ordering::Release);
    writer.join().unwrap();
}

#[tokio::test]
async fn quiet_comes_after_a_tenth_of_a_second_also_when_waiting_is_cancelled() {
    let place = Place::new();
    let home = place.home("");
    let mut watch = watching(&[&home]);
    let started = Instant::now();
    fs::write(&home.token_path, "hf_one").unwrap();
    let quiet = timeout(Duration::from_secs(20), async {
        let mut busy = false;
        loop {
            match timeout(Duration::from_millis(3), watch.next()).await {
                Ok(Noticed::Busy(_)) => busy = true,
                Ok(Noticed::Quiet(_)) => return busy,
                Err(_) => {}
            }
        }
    });
    assert!(quiet.await.unwrap());
    assert!(started.elapsed() >= QUIET);
}

#[tokio::test]
async fn an_overflow_concerns_everybody() {
    let place = Place::new();
    let homes = [place.home("a"), place.home("b")];
    let mut watch = watching(&[&homes[0], &homes[1]]);
    let news = watch.source.read(vec![Event {
        watch: -1,
        flags: ReadFlags::QUEUE_OVERFLOW,
        name: None,
    }]);
    watch.take(news);
    for home in homes {
        assert_eq!(next(&mut watch).await, Noticed::Busy(home));
    }
}

#[tokio::test]
async fn a_file_system_that_does_not_tell_is_asked() {
    let place = Place::new();
    let home = place.home("");
    let mut watch = Watch::new().unwrap();
    watch.set(vec![(home.clone(), false)]);
    settles(&mut watch, &home).await;
    fs::write(&home.token_path, "hf_one").unwrap();
    settles(&mut watch, &home).await;
    // Told to be local after all, it is watched.
    watch.set(vec![(home.clone(), true)]);
    fs::write(&home.token_path, "hf_two").unwrap();
    settles(&mut watch, &home).await;
}

#[tokio::test]
async fn a_mirror_that_is_no_longer_set_is_not_noticed() {
    let place = Place::new();
    fs::create_dir(place.path("a")).unwrap();
    fs::create_dir(place.path("marker")).unwrap();
    let (home, marker) = (place.home("a"), place.home("marker"));
    let mut watch = watching(&[&home]);
    fs::write(&home.token_path, "hf_one").unwrap();
    watch.set(vec![(marker.clone(), true)]);
    fs::write(&home.token_path, "hf_two").unwrap();
    nothing_but(&mut watch, &marker).await;
}

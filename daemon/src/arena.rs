//! The cache of access tokens: 64 KiB of memory that is kept out of swap and core dumps as far as
//! the system allows, and wiped.
//!
//! Refresh tokens never come here. Copies that leave are [`Secret`]s, which wipe themselves; what
//! the libraries of the keychain, the socket and HTTP copy on the way is outside.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hfd_proto::Secret;
use memmap2::MmapMut;
use zeroize::{Zeroize, Zeroizing};

use crate::os;

/// The whole region. An ordinary user may lock 64 KiB on old systems (8 MiB on new ones).
const SIZE: usize = 64 * 1024;

/// The unit of allocation: the Hub's tokens of 37 characters take one, so that 1,024 fit; a JWT of
/// 2 KiB takes 32.
const BLOCK: usize = 64;

const BLOCKS: usize = SIZE / BLOCK;

/// Access tokens by key (a name, or a fingerprint); where the room ends, the one that was used
/// longest ago goes. Cheap to share: a look-up holds its lock for well under a microsecond.
pub struct Arena<K> {
    inner: Mutex<Inner<K>>,
    locked: bool,
}

struct Inner<K> {
    /// None where the system had no memory: then nothing is cached.
    region: Option<MmapMut>,
    /// The block that follows each block, in a token's chain or in the chain of free ones.
    next: Box<[u16; BLOCKS]>,
    free: u16,
    free_blocks: usize,
    held: HashMap<K, Held>,
    /// Counts uses; the smallest is the oldest.
    clock: u64,
}

struct Held {
    first: u16,
    length: u16,
    used: u64,
}

/// Ends a chain.
const END: u16 = u16::MAX;

impl<K: Eq + Hash + Clone> Arena<K> {
    /// Takes the region and locks it, best effort.
    pub fn new() -> Self {
        let region = MmapMut::map_anon(SIZE).ok();
        let locked = region
            .as_ref()
            .is_some_and(|region| os::lock_memory(region).is_ok());
        if let Some(region) = &region {
            os::keep_out_of_dumps(region);
        }
        let free_blocks = if region.is_some() { BLOCKS } else { 0 };
        let mut next = Box::new([END; BLOCKS]);
        for (block, next) in (1..).zip(next.iter_mut().take(BLOCKS - 1)) {
            *next = block;
        }
        Self {
            inner: Mutex::new(Inner {
                region,
                next,
                free: 0,
                free_blocks,
                held: HashMap::new(),
                clock: 0,
            }),
            locked,
        }
    }

    /// Whether the region is locked in memory, so that it is never swapped out.
    pub fn locked(&self) -> bool {
        self.locked
    }

    /// A copy of the token of this key, which counts as a use of it.
    pub fn get(&self, key: &K) -> Option<Secret> {
        self.inner().get(key)
    }

    /// Keeps a token, in the place of an earlier one of the same key and, where there is no room,
    /// of those used longest ago.
    pub fn put(&self, key: K, token: &Secret) {
        self.inner().put(key, token.expose().as_bytes());
    }

    /// Wipes the token of this key.
    pub fn remove(&self, key: &K) {
        self.inner().remove(key);
    }

    /// Wipes everything.
    pub fn clear(&self) {
        self.inner().clear();
    }

    fn inner(&self) -> MutexGuard<'_, Inner<K>> {
        // Nothing below panics halfway through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Eq + Hash + Clone> Default for Arena<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Arena<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("locked", &self.locked)
            .finish_non_exhaustive()
    }
}

impl<K: Eq + Hash + Clone> Inner<K> {
    fn get(&mut self, key: &K) -> Option<Secret> {
        let held = self.held.get_mut(key)?;
        self.clock += 1;
        held.used = self.clock;
        let (first, length) = (held.first, usize::from(held.length));
        let region = self.region.as_ref()?;
        if length <= BLOCK {
            let start = usize::from(first) * BLOCK;
            return secret(&region[start..start + length]);
        }
        // The whole capacity at once: a buffer that grows leaves copies behind.
        let mut value = Zeroizing::new(Vec::with_capacity(length));
        let mut block = first;
        while block != END {
            let start = usize::from(block) * BLOCK;
            let taken = BLOCK.min(length - value.len());
            value.extend_from_slice(&region[start..start + taken]);
            block = self.next[usize::from(block)];
        }
        secret(&value)
    }

    fn put(&mut self, key: K, value: &[u8]) {
        self.remove(&key);
        let wanted = value.len().div_ceil(BLOCK);
        let Ok(length) = u16::try_from(value.len()) else {
            return;
        };
        if wanted == 0 || wanted > BLOCKS || self.region.is_none() {
            return;
        }
        while self.free_blocks < wanted {
            self.evict();
        }
        let first = self.fill(value);
        self.clock += 1;
        let used = self.clock;
        self.held.insert(
            key,
            Held {
                first,
                length,
                used,
            },
        );
    }

    /// Writes the value into blocks from the head of the free chain; the caller has made sure that
    /// there are enough.
    fn fill(&mut self, value: &[u8]) -> u16 {
        let first = self.free;
        let mut last = first;
        for part in value.chunks(BLOCK) {
            last = self.free;
            let start = usize::from(last) * BLOCK;
            if let Some(region) = &mut self.region {
                region[start..start + part.len()].copy_from_slice(part);
            }
            self.free = self.next[usize::from(last)];
            self.free_blocks -= 1;
        }
        self.next[usize::from(last)] = END;
        first
    }

    /// Searches all tokens for the oldest, at most 1,024: it happens only after a keychain call,
    /// which takes a thousand times as long, and keeps look-ups free of any bookkeeping.
    fn evict(&mut self) {
        let oldest = self.held.iter().min_by_key(|(_, held)| held.used);
        if let Some(key) = oldest.map(|(key, _)| key.clone()) {
            self.remove(&key);
        }
    }

    fn remove(&mut self, key: &K) {
        let Some(held) = self.held.remove(key) else {
            return;
        };
        let mut block = held.first;
        loop {
            let start = usize::from(block) * BLOCK;
            if let Some(region) = &mut self.region {
                region[start..start + BLOCK].zeroize();
            }
            self.free_blocks += 1;
            let next = self.next[usize::from(block)];
            if next == END {
                break;
            }
            block = next;
        }
        // The whole chain goes before the free ones.
        self.next[usize::from(block)] = self.free;
        self.free = held.first;
    }

    fn clear(&mut self) {
        let keys: Vec<K> = self.held.keys().cloned().collect();
        for key in keys {
            self.remove(&key);
        }
    }
}

impl<K> Drop for Inner<K> {
    fn drop(&mut self) {
        if let Some(region) = &mut self.region {
            region.zeroize();
        }
    }
}

fn secret(bytes: &[u8]) -> Option<Secret> {
    Secret::parse(std::str::from_utf8(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn token(text: &str) -> Secret {
        Secret::parse(text).unwrap()
    }

    /// How many bytes of the region are not zero.
    fn used_bytes<K: Eq + Hash + Clone>(arena: &Arena<K>) -> usize {
        let inner = arena.inner();
        let region = inner.region.as_ref().unwrap();
        region.iter().filter(|&&byte| byte != 0).count()
    }

    #[test]
    fn a_token_is_kept_until_it_is_removed_and_then_wiped() {
        let arena = Arena::new();
        assert_eq!(arena.get(&"work"), None);
        let value = token(&"x".repeat(1000));
        arena.put("work", &value);
        assert_eq!(arena.get(&"work"), Some(value));
        assert_eq!(used_bytes(&arena), 1000);
        arena.put("work", &token("hf_short"));
        assert_eq!(arena.get(&"work"), Some(token("hf_short")));
        assert_eq!(used_bytes(&arena), 8);
        arena.remove(&"work");
        assert_eq!(arena.get(&"work"), None);
        assert_eq!(used_bytes(&arena), 0);
    }

    #[test]
    fn the_token_used_longest_ago_makes_room() {
        let arena = Arena::new();
        let value = |n: usize| token(&format!("hf_{n:034}"));
        for n in 0..BLOCKS {
            arena.put(n, &value(n));
        }
        assert_eq!(arena.get(&0), Some(value(0)));
        arena.put(BLOCKS, &value(BLOCKS));
        assert_eq!(arena.get(&1), None);
        assert_eq!(arena.get(&0), Some(value(0)));
        assert_eq!(arena.get(&BLOCKS), Some(value(BLOCKS)));
        let largest = token(&"y".repeat(hfd_proto::MAX_SECRET));
        arena.put(5000, &largest);
        assert_eq!(arena.get(&5000), Some(largest));
        assert_eq!(arena.get(&0), Some(value(0)), "used after the others");
        arena.clear();
        assert_eq!(used_bytes(&arena), 0);
        assert_eq!(arena.inner().free_blocks, BLOCKS);
    }

    #[test]
    fn of_long_tokens_the_last_eight_are_held() {
        let arena = Arena::new();
        let value = |n: u8| token(&char::from(b'a' + n).to_string().repeat(8 * 1024));
        for n in 0..10 {
            arena.put(n, &value(n));
        }
        for n in 0..10 {
            assert_eq!(arena.get(&n), (n >= 2).then(|| value(n)), "{n}");
        }
    }

    #[test]
    fn the_region_lies_on_pages_of_its_own() {
        let arena: Arena<u8> = Arena::new();
        let inner = arena.inner();
        let start = inner.region.as_ref().unwrap().as_ptr() as usize;
        // The smallest page there is; mmap aligns to the system's own.
        assert_eq!(start % 4096, 0);
    }

    #[test]
    fn debug_shows_no_token() {
        let arena = Arena::new();
        arena.put("canary_key", &token("hf_canary_value"));
        assert!(!format!("{arena:?}").contains("canary"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_knows_that_the_region_is_locked_and_not_dumped() {
        let arena: Arena<u8> = Arena::new();
        let start = arena.inner().region.as_ref().unwrap().as_ptr() as usize;
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = smaps.lines().skip_while(|line| {
            let range = line
                .split_once('-')
                .map(|(from, rest)| (from, rest.split(' ').next()));
            let Some((from, Some(to))) = range else {
                return true;
            };
            let bounds = (
                usize::from_str_radix(from, 16),
                usize::from_str_radix(to, 16),
            );
            !matches!(bounds, (Ok(from), Ok(to)) if (from..to).contains(&start))
        });
        let flags = lines.find(|line| line.starts_with("VmFlags:")).unwrap();
        assert!(flags.split(' ').any(|flag| flag == "dd"), "{flags}");
        let locked = flags.split(' ').any(|flag| flag == "lo");
        assert_eq!(locked, arena.locked(), "{flags}");
    }

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, usize),
        Get(u8),
        Remove(u8),
        Clear,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let key = 0..40_u8;
        let step = prop_oneof![
            8 => (key.clone(), 1..hfd_proto::MAX_SECRET).prop_map(|(k, n)| Step::Put(k, n)),
            4 => (key.clone(), 1..200_usize).prop_map(|(k, n)| Step::Put(k, n)),
            8 => key.clone().prop_map(Step::Get),
            3 => key.prop_map(Step::Remove),
            1 => Just(Step::Clear),
        ];
        proptest::collection::vec(step, 1..200)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// What is returned is always what was put last; what is missing was removed or evicted,
        /// and nothing is evicted while there is room.
        #[test]
        fn it_agrees_with_a_map(steps in steps()) {
            let arena = Arena::new();
            let mut model: HashMap<u8, (Secret, u64)> = HashMap::new();
            let blocks = |value: &Secret| value.expose().len().div_ceil(BLOCK);
            for (now, step) in (0..).zip(steps) {
                match step {
                    Step::Put(key, length) => {
                        let letter = char::from(b'a' + (now % 26) as u8);
                        let value = token(&letter.to_string().repeat(length));
                        arena.put(key, &value);
                        model.remove(&key);
                        while model.values().map(|(held, _)| blocks(held)).sum::<usize>()
                            + blocks(&value) > BLOCKS
                        {
                            let oldest = model.iter().min_by_key(|(_, (_, used))| *used);
                            let oldest = *oldest.unwrap().0;
                            model.remove(&oldest);
                        }
                        model.insert(key, (value, now));
                    }
                    Step::Get(key) => {
                        let expected = model.get_mut(&key).map(|(value, used)| {
                            *used = now;
                            value.clone()
                        });
                        prop_assert_eq!(arena.get(&key), expected);
                    }
                    Step::Remove(key) => {
                        arena.remove(&key);
                        model.remove(&key);
                    }
                    Step::Clear => {
                        arena.clear();
                        model.clear();
                    }
                }
                let held: usize = model.values().map(|(value, _)| value.expose().len()).sum();
                prop_assert_eq!(used_bytes(&arena), held);
            }
        }
    }
}

//! Group commit of deliveries: those that give their files a name within a moment of each other share one sync.
//!
//! On a disk that [keeps the order](posthaste_system::storage::keeps_order) a name on stable storage means that all names given before it are
//! there too. So one delivery leads: it waits as its [`Pace`] says, while others give their files names; then it gives its own file a name,
//! syncs the directory of that last name, and tells the others.

use posthaste_system::pace::Pace;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::mem::take;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How far apart syncs begin while there are several deliveries. Nobody waits for them but the queue manager.
const INTERVAL: Duration = Duration::from_millis(4);

/// By device.
static GROUPS: Mutex<BTreeMap<u64, Group>> = Mutex::new(BTreeMap::new());

/// The deliveries of this process to one file system.
struct Group {
    /// Somebody leads, and others may still join.
    led: bool,
    waiting: Vec<Follower>,
    pace: Pace,
}

impl Default for Group {
    fn default() -> Group {
        Group { led: false, waiting: Vec::new(), pace: Pace::new(INTERVAL) }
    }
}

/// Has a name in `folder`, and waits until that is safe.
struct Follower {
    folder: File,
    told: SyncSender<io::Result<()>>,
}

fn groups() -> MutexGuard<'static, BTreeMap<u64, Group>> {
    // Nothing that can panic runs under this lock.
    GROUPS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `name` give a file, whose contents are written out to the file system `device`, a name, and comes back when that is on stable storage.
/// `name` is called once and gives the directory of the name; `None` when the file got none. Blocks for the sync.
pub(crate) fn sync(device: u64, name: impl FnOnce() -> Option<File>) -> Option<io::Result<()>> {
    let pause = {
        let mut groups = groups();
        let group = groups.entry(device).or_default();
        (!std::mem::replace(&mut group.led, true)).then(|| group.pace.pause(Instant::now()))
    };
    match pause {
        Some(pause) => lead(device, || sleep(pause), name),
        None => follow(device, name),
    }
}

fn lead(device: u64, wait: impl FnOnce(), name: impl FnOnce() -> Option<File>) -> Option<io::Result<()>> {
    wait();
    let followers = {
        let mut groups = groups();
        let group = groups.entry(device).or_default();
        group.led = false;
        group.pace.begin(Instant::now(), group.waiting.len() + 1);
        take(&mut group.waiting)
    };
    let result = name().map(|folder| folder.sync_all());
    for Follower { folder, told } in followers {
        // Without a later name to sync each has its own.
        let of_this = result.as_ref().map_or_else(|| folder.sync_all(), again);
        // It waits until it is told.
        let _ = told.send(of_this);
    }
    groups().entry(device).or_default().pace.end();
    result
}

fn follow(device: u64, name: impl FnOnce() -> Option<File>) -> Option<io::Result<()>> {
    let folder = name()?;
    let (told, hear) = sync_channel(1);
    {
        let mut groups = groups();
        let group = groups.entry(device).or_default();
        if !group.led {
            // The leader did not wait for this name.
            drop(groups);
            return Some(folder.sync_all());
        }
        group.waiting.push(Follower { folder, told });
    }
    Some(hear.recv().unwrap_or_else(|_| Err(io::Error::other("the sync was given up"))))
}

/// One result for many.
fn again(result: &io::Result<()>) -> io::Result<()> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    /// One delivery leads, and waits until the other has its name. What each closure gives is what is synced.
    fn two(device: u64, first: fn() -> Option<File>, second: fn() -> Option<File>) -> [Option<Result<(), io::ErrorKind>>; 2] {
        let kind = |result: Option<io::Result<()>>| result.map(|result| result.map_err(|error| error.kind()));
        let order = AtomicUsize::new(0);
        let numbered = |name: fn() -> Option<File>, at: usize| {
            let order = &order;
            move || {
                assert_eq!(order.fetch_add(1, Ordering::SeqCst), at);
                name()
            }
        };
        groups().entry(device).or_default().led = true;
        let waiting = || groups()[&device].waiting.len();
        thread::scope(|scope| {
            let other = scope.spawn(|| kind(sync(device, numbered(second, 0))));
            let joined = || {
                while waiting() == 0 && !other.is_finished() {
                    thread::yield_now();
                }
            };
            let leading = kind(lead(device, joined, numbered(first, 1)));
            [leading, other.join().unwrap()]
        })
    }

    fn good() -> Option<File> {
        File::open("/").ok()
    }

    /// Cannot be synced.
    fn bad() -> Option<File> {
        File::open("/dev/null").ok()
    }

    #[test]
    fn the_leader_gives_its_name_last_and_syncs_for_all() {
        assert_eq!(two(1, good, good), [Some(Ok(())), Some(Ok(()))]);
        // The follower's folder is not synced by itself.
        assert_eq!(two(1, good, bad), [Some(Ok(())), Some(Ok(()))]);
        let failed = Some(Err(io::ErrorKind::InvalidInput));
        assert_eq!(two(1, bad, good), [failed, failed]);
    }

    #[test]
    fn a_leader_without_a_name_syncs_what_the_others_have() {
        assert_eq!(two(2, || None, good), [None, Some(Ok(()))]);
        assert_eq!(two(2, || None, bad), [None, Some(Err(io::ErrorKind::InvalidInput))]);
        assert_eq!(two(2, good, || None), [Some(Ok(())), None]);
    }

    #[test]
    fn one_whose_leader_did_not_wait_syncs_by_itself() {
        groups().entry(3).or_default().led = true;
        let late = || {
            groups().entry(3).or_default().led = false;
            bad()
        };
        assert!(sync(3, late).is_some_and(|result| result.is_err()));
    }

    #[test]
    fn many_at_one_time() {
        let start = Barrier::new(16);
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| {
                    start.wait();
                    for _ in 0..20 {
                        assert!(sync(4, good).is_some_and(|result| result.is_ok()));
                    }
                });
            }
        });
        assert!(!groups()[&4].led && groups()[&4].waiting.is_empty());
    }
}

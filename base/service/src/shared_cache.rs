//! A cache that several processes, or hosts, use together: `proxy:btree:/file`, `memcache:/file.cf`.
//!
//! The table is asked each time, on a thread for what waits. [`posthaste_table::cache::Cache`] is for a cache with one owner.

use posthaste_log::{Logger, warn};
use posthaste_table::{Context, OpenFlags, Table, TableError, try_open};
use std::sync::Arc;

/// See the module's text.
#[derive(Clone)]
pub struct SharedCache {
    table: Arc<dyn Table>,
    log: Logger,
}

impl SharedCache {
    /// Opens the table if it is one that is shared; others have one owner, and are `None`. The error is a complete text.
    pub fn open(spec: &str, context: &Context, log: &Logger) -> Option<Result<SharedCache, String>> {
        let spec = spec.trim();
        if !spec.starts_with("proxy:") && !spec.starts_with("memcache:") {
            return None;
        }
        let flags = OpenFlags { keep_case: true, raw_bytes: true, writable: true, ..OpenFlags::default() };
        Some(try_open(spec, flags, context).map(|table| SharedCache { table, log: log.clone() }))
    }

    /// `type:name`.
    pub fn name(&self) -> &str {
        self.table.name()
    }

    /// The value of a key; `None` also if the table does not answer: a cache may forget.
    pub async fn lookup(&self, key: &[u8]) -> Option<Vec<u8>> {
        let key = key.to_owned();
        self.run(move |table| table.lookup(key.as_slice().into())).await.flatten().map(Into::into)
    }

    /// Sets the value of a key.
    pub async fn update(&self, key: &[u8], value: Vec<u8>) {
        let key = key.to_owned();
        self.run(move |table| table.update(key.as_slice().into(), value.as_slice().into())).await;
    }

    /// Removes a key.
    pub async fn delete(&self, key: &[u8]) {
        let key = key.to_owned();
        self.run(move |table| table.delete(key.as_slice().into())).await;
    }

    /// Removes all entries but those for which `keep` says so. Returns how many were kept and dropped; `None` when the table cannot be listed.
    pub async fn retain(&self, mut keep: impl FnMut(&[u8], &[u8]) -> bool + Send + 'static) -> Option<(usize, usize)> {
        let work = move |table: &dyn Table| {
            let (mut kept, mut useless) = (0, Vec::new());
            let listed = table.entries(&mut |key, value| {
                if keep(key, value) {
                    kept += 1;
                } else {
                    useless.push(key.to_owned());
                }
                true
            });
            let Some(listed) = listed else { return Ok(None) };
            listed?;
            for key in &useless {
                table.delete(key.as_ref())?;
            }
            Ok(Some((kept, useless.len())))
        };
        self.run(work).await.flatten()
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce(&dyn Table) -> Result<T, TableError> + Send + 'static) -> Option<T> {
        let table = Arc::clone(&self.table);
        match tokio::task::spawn_blocking(move || work(&*table)).await {
            Ok(Ok(found)) => Some(found),
            Ok(Err(error)) => {
                warn!(self.log, "{error}");
                None
            }
            // Reported where it happened.
            Err(_) => None,
        }
    }
}

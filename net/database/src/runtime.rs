//! One thread for all the network clients of the process.
//!
//! It is started at the first lookup and not before: a process opens its tables before it enters its sandbox, and a thread that was started by
//! then would be outside of it.

use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::sync::mpsc;
use tokio::runtime::{Builder, Handle};

fn handle() -> io::Result<&'static Handle> {
    static HANDLE: OnceLock<Result<Handle, io::ErrorKind>> = OnceLock::new();
    let start = || -> io::Result<Handle> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new().name("databases".into()).spawn(move || runtime.block_on(std::future::pending::<()>()))?;
        Ok(handle)
    };
    HANDLE.get_or_init(|| start().map_err(|error| error.kind())).as_ref().map_err(|kind| (*kind).into())
}

/// Runs a future on the network thread and waits for its result. Blocks; not for use on the network thread itself.
pub(crate) fn wait<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> io::Result<T> {
    let (send, receive) = mpsc::sync_channel(1);
    handle()?.spawn(async move {
        let _ = send.send(future.await);
    });
    // The sender is dropped without a word when the future panics, which is reported where it happens.
    receive.recv().map_err(|_| io::Error::other("internal error"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_come_back_and_a_panic_is_an_error() {
        assert_eq!(wait(async { 1 + 1 }).unwrap(), 2);
        assert!(wait(async { panic!("as the test wants it") }).is_err());
        // The thread lives on.
        let late = wait(async { tokio::time::timeout(Duration::from_millis(1), std::future::pending::<()>()).await });
        assert!(late.unwrap().is_err());
    }
}

//! Lookups that may wait for another host are made on a thread, so that other clients do not wait with them.

use posthaste_address::Address;
use posthaste_route::{Context, Route, RouteError, Router};
use posthaste_table::{Maps, TableError};
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Makes a lookup here if it cannot block, else on a thread.
pub async fn on<T: Send + 'static>(
    maps: &Arc<Maps>,
    work: impl FnOnce(&Maps) -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    if !maps.may_block() {
        return work(maps);
    }
    let maps = Arc::clone(maps);
    let title = maps.title().to_owned();
    spawn_blocking(move || work(&maps)).await.unwrap_or_else(|_| Err(TableError::new(&title, "the lookup was given up")))
}

/// Completes and resolves an address, likewise.
pub async fn resolve(router: &Arc<Router>, sender: &Address, address: &Address) -> Result<Route, RouteError> {
    let address = router.rewrite(Context::Local, address);
    if !router.may_block() {
        return router.resolve(sender, &address);
    }
    let (router, sender) = (Arc::clone(router), sender.clone());
    spawn_blocking(move || router.resolve(&sender, &address)).await.unwrap_or_else(|_| Err(RouteError("the lookup was given up".into())))
}

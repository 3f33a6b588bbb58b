//! The mounts that are adopted: follows the list of mounts, while there is a rule that adopts
//! any.

use super::{Observer, Shared};
use crate::adoption::Change;
use crate::adoption::mounts::{MountList, OpenMounts};
use crate::authentication::Read;
use crate::kernel::Transport;
use crate::table::Registrar;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

/// The least time between two looks at the list, where mounts of any kind come and go all
/// the time.
const PAUSE: Duration = Duration::from_millis(100);

/// Follows the mounts until the future is dropped. Nothing wakes it while no mount comes or
/// goes.
pub(super) async fn run<T: Transport, O: Observer, C: Registrar>(
    shared: &Shared<T, O>,
    client: &C,
    open: &OpenMounts,
) -> Infallible {
    loop {
        if shared.books().adoption.is_needed() {
            if let Err(error) = follow(shared, client, open).await {
                log::error!("no mounts can be adopted: the list of mounts can't be read: {error}");
            }
        }
        shared.adopt.notified().await;
    }
}

/// Follows the mounts until nothing is adopted any more.
async fn follow<T: Transport, O: Observer, C: Registrar>(
    shared: &Shared<T, O>,
    client: &C,
    open: &OpenMounts,
) -> io::Result<()> {
    let mounts = open()?;
    loop {
        look(shared, client, &mounts).await?;
        if !shared.books().adoption.is_needed() {
            return Ok(());
        }
        sleep(PAUSE).await;
        tokio::select! {
            changed = mounts.changed() => changed?,
            () = shared.adopt.notified() => {}
        }
    }
}

/// Looks at the list, and does what follows.
async fn look<T: Transport, O: Observer, C: Registrar>(
    shared: &Shared<T, O>,
    client: &C,
    mounts: &Arc<dyn MountList>,
) -> io::Result<()> {
    let mounts = Arc::clone(mounts);
    let found = elsewhere(move || mounts.find()).await?;
    let changes = shared.books().adoption.update(&found);
    for change in changes {
        let account = account(&change).await;
        // Others may have their turn between two.
        let mut books = shared.books();
        let report = books.on_adopted(change, account, client, &shared.wake);
        shared.tell(books, report);
    }
    Ok(())
}

/// Reads the account of a mount that is not the machine's.
async fn account(change: &Change) -> Option<Read> {
    let Change::Register { request, credentials: Some(from), .. } = change else { return None };
    let (from, net_name) = (from.clone(), request.net_name.clone());
    let share = request.share_name.clone().unwrap_or_default();
    Some(elsewhere(move || from.read(&net_name, &share)).await)
}

/// Does what may block in another thread.
async fn elsewhere<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

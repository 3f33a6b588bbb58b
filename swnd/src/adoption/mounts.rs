//! Finds the mounts, and hears that there are others.

use super::Found;
use crate::failover::DebugData;
use crate::failover::driver::Answer;
use crate::mountinfo;
use std::fs::File;
use std::io;
use std::sync::Arc;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The mounts of a mount namespace.
pub trait MountList: Send + Sync + 'static {
    /// Waits until mounts may have changed since the last call, or since this was opened.
    fn changed(&self) -> Answer<io::Result<()>>;

    /// Returns what there is. May block.
    ///
    /// # Errors
    /// It can't be read.
    fn find(&self) -> io::Result<Found>;
}

/// Opens a list. To be called from the event loop.
pub type OpenMounts = Arc<dyn Fn() -> io::Result<Arc<dyn MountList>> + Send + Sync>;

/// The kernel's list of this process's mount namespace.
#[derive(Debug)]
pub struct MountTable(Arc<AsyncFd<File>>);

impl MountTable {
    /// Opens it; from now on each change is heard.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub fn open() -> io::Result<Arc<dyn MountList>> {
        let file = File::open(mountinfo::PATH)?;
        #[allow(
            deprecated,
            reason = "its successor is unsafe and unknown to older releases; what it asks for, \
                      File grants: it owns its descriptor and keeps it"
        )]
        // A change of the mounts is priority data to poll(2) (proc(5)).
        let file = AsyncFd::with_interest(file, Interest::PRIORITY)?;
        Ok(Arc::new(Self(Arc::new(file))))
    }
}

impl MountList for MountTable {
    fn changed(&self) -> Answer<io::Result<()>> {
        let file = Arc::clone(&self.0);
        Box::pin(async move {
            file.ready(Interest::PRIORITY).await?.clear_ready();
            Ok(())
        })
    }

    fn find(&self) -> io::Result<Found> {
        let mounts = mountinfo::read()?;
        let debug_data = (!mounts.is_empty()).then(DebugData::read).flatten();
        Ok(Found { mounts, debug_data })
    }
}

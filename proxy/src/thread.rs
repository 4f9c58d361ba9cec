//! Work that may take long, on a thread of its own. A system that gives no more threads makes an error of it here; the
//! runtime's own pool would make a panic of it, and the work of others could fill that pool.

use std::io;
use tokio::sync::oneshot;

/// What `work` gives.
///
/// # Errors
/// There is no thread for it, or it panicked, which has been told.
pub(crate) async fn on_own_thread<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let (tell, done) = oneshot::channel();
    let whole = move || {
        let _ = tell.send(work());
    };
    std::thread::Builder::new().name(name.to_owned()).spawn(whole)?;
    done.await.map_err(|_| io::Error::other("the work broke off"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_elsewhere_and_a_panic_is_an_error() {
        let here = std::thread::current().id();
        let there = on_own_thread("test", || std::thread::current().id()).await.unwrap();
        assert_ne!(there, here);
        assert!(on_own_thread("test", move || assert!(here == there)).await.is_err());
    }
}

//! Code of the user's that may panic, in a task that must not.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::publish::BoxFuture;

/// The code panicked. What it said went to the panic hook and no further: it may hold a part of the event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Calls a function; its panic is an answer.
///
/// Whatever the function has half changed is its own: a panic in a handler is nothing else than its error.
pub(super) fn contain<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}

/// A future that lets no panic out: not when it is polled, and not when it is dropped, finished or not.
pub(super) struct Contained<T>(Option<BoxFuture<'static, T>>);

impl<T> Contained<T> {
    pub(super) fn new(future: BoxFuture<'static, T>) -> Self {
        Self(Some(future))
    }

    /// What the future holds is given up; a panic meanwhile changes nothing of what the future answered.
    fn give_up(&mut self) {
        let future = self.0.take();
        drop(contain(|| drop(future)));
    }
}

impl<T> Future for Contained<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else {
            return Poll::Ready(Err(Panicked));
        };
        let answer = match contain(|| future.as_mut().poll(context)) {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Ok(answer),
            Err(panicked) => Err(panicked),
        };
        self.give_up();
        Poll::Ready(answer)
    }
}

impl<T> Drop for Contained<T> {
    fn drop(&mut self) {
        self.give_up();
    }
}

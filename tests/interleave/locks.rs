//! The locks and channels of the program under `loom`; outside of a model they lock like the usual ones.
//! The channel keeps what `tokio::sync::watch` promises, and no more: the last value stays, who waits
//! looks at it first, each change and the end of the sender wake all who wait.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::{Arc, Mutex as Usual, MutexGuard as UsualGuard};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Mutex as Modelled, MutexGuard as ModelledGuard};
use loom::thread::{self, Thread};

use crate::atomics::is_exploring;

#[derive(Debug)]
pub(crate) enum Mutex<T> {
    Usual(Usual<T>),
    Modelled(Modelled<T>),
}

pub(crate) enum MutexGuard<'a, T> {
    Usual(UsualGuard<'a, T>),
    Modelled(ModelledGuard<'a, T>),
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        if is_exploring() {
            Self::Modelled(Modelled::new(value))
        } else {
            Self::Usual(Usual::new(value))
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        match self {
            Self::Usual(usual) => MutexGuard::Usual(usual.lock().unwrap()),
            Self::Modelled(modelled) => MutexGuard::Modelled(modelled.lock().unwrap()),
        }
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Usual(usual) => usual,
            Self::Modelled(modelled) => modelled,
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        match self {
            Self::Usual(usual) => usual,
            Self::Modelled(modelled) => modelled,
        }
    }
}

/// Waits for it in a thread of the model. That nobody ends the wait in some order is what `loom` calls a
/// deadlock.
pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// What it has now, without a wait.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

pub(crate) mod watch {
    //! As `tokio::sync::watch`.

    use std::future::poll_fn;
    use std::mem;
    use std::ops::Deref;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use super::{Mutex, MutexGuard};

    #[derive(Debug)]
    pub(crate) struct Sender<T>(Arc<Mutex<Channel<T>>>);

    #[derive(Debug)]
    pub(crate) struct Receiver<T>(Arc<Mutex<Channel<T>>>);

    #[derive(Debug)]
    struct Channel<T> {
        value: T,
        is_closed: bool,
        waiting: Vec<Waker>,
    }

    /// What is in the channel; while it is held nothing else is sent.
    pub(crate) struct Ref<'a, T>(MutexGuard<'a, Channel<T>>);

    /// The sender is gone, and what it sent last is not what was waited for.
    #[derive(Debug)]
    pub(crate) struct RecvError;

    pub(crate) fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Mutex::new(Channel {
            value,
            is_closed: false,
            waiting: Vec::new(),
        }));
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub(crate) fn subscribe(&self) -> Receiver<T> {
            Receiver(Arc::clone(&self.0))
        }

        pub(crate) fn send_replace(&self, value: T) -> T {
            let mut last = value;
            self.send_if_modified(|sent| {
                mem::swap(sent, &mut last);
                true
            });
            last
        }

        pub(crate) fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
            let mut channel = self.0.lock();
            let is_modified = modify(&mut channel.value);
            if is_modified {
                wake(channel);
            }
            is_modified
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            let mut channel = self.0.lock();
            channel.is_closed = true;
            wake(channel);
        }
    }

    /// After the lock is given back, as the original does it.
    fn wake<T>(mut channel: MutexGuard<'_, Channel<T>>) {
        let waiting = mem::take(&mut channel.waiting);
        drop(channel);
        waiting.into_iter().for_each(Waker::wake);
    }

    impl<T> Receiver<T> {
        pub(crate) fn same_channel(&self, other: &Self) -> bool {
            Arc::ptr_eq(&self.0, &other.0)
        }

        pub(crate) async fn wait_for(
            &mut self,
            mut is_it: impl FnMut(&T) -> bool,
        ) -> Result<Ref<'_, T>, RecvError> {
            let channel = &*self.0;
            poll_fn(move |context: &mut Context<'_>| {
                let mut channel = channel.lock();
                if is_it(&channel.value) {
                    return Poll::Ready(Ok(Ref(channel)));
                }
                if channel.is_closed {
                    return Poll::Ready(Err(RecvError));
                }
                channel.waiting.push(context.waker().clone());
                Poll::Pending
            })
            .await
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Deref for Ref<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0.value
        }
    }
}

//! What the consumer asks for, on its way to the event loop.
//!
//! Both may be threads of their own, of which the consumer's must not wait. Two
//! buffers go back and forth, so that the one hardly ever frees what the other has
//! allocated, which would lock the other's heap; the lock here is held for moments.

use crate::{Credentials, Event, Interface, RegistrationId, RegistrationRequest};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, broadcast, oneshot};

/// How many commands there is room for while there are none.
const ROOM: usize = 64;

/// What the consumer asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// The events go by the sender where there is one.
    Register(RegistrationId, RegistrationRequest, Credentials, Option<broadcast::Sender<Event>>),
    RequestAgain(RegistrationId, Credentials),
    TryNow(RegistrationId),
    Unregister(RegistrationId),
    Interfaces(RegistrationId, oneshot::Sender<Vec<Interface>>),
    Shutdown(oneshot::Sender<()>),
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: VecDeque<Command>,
    /// One of the ends is gone.
    closed: bool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Plain data, in order between any two statements.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the queue when its last clone is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Sender(Arc<Open>);

#[derive(Debug)]
struct Open(Arc<Queue>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.news.notify_one();
    }
}

impl Sender {
    pub(crate) fn send(&self, command: Command) {
        let queue = &self.0.0;
        let mut waiting = queue.lock();
        if waiting.closed {
            // The event loop has ended, and every registration with it.
            return;
        }
        waiting.commands.push_back(command);
        drop(waiting);
        queue.news.notify_one();
    }
}

/// Ends the queue from the event loop's side; what waits in it is not heard.
#[derive(Debug, Clone)]
pub(crate) struct Stop(Arc<Queue>);

impl Stop {
    pub(crate) fn stop(&self) {
        let left = {
            let mut waiting = self.0.lock();
            waiting.closed = true;
            std::mem::take(&mut waiting.commands)
        };
        drop(left);
        self.0.news.notify_one();
    }
}

/// The end of the event loop.
#[derive(Debug)]
pub(crate) struct Receiver {
    queue: Arc<Queue>,
    taken: VecDeque<Command>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop().stop();
    }
}

impl Receiver {
    /// What ends the queue.
    pub(crate) fn stop(&self) -> Stop {
        Stop(Arc::clone(&self.queue))
    }

    /// The next command; `None` once the queue is closed and empty.
    pub(crate) async fn recv(&mut self) -> Option<Command> {
        // Other tasks have their turn within a burst.
        tokio::task::consume_budget().await;
        while self.taken.is_empty() {
            if self.exchange() {
                break;
            }
            self.give_room_back();
            self.queue.news.notified().await;
        }
        self.taken.pop_front()
    }

    /// Takes all that wait. Whether there is an end of waiting.
    fn exchange(&mut self) -> bool {
        let mut waiting = self.queue.lock();
        std::mem::swap(&mut waiting.commands, &mut self.taken);
        !self.taken.is_empty() || waiting.closed
    }

    /// A burst is over.
    fn give_room_back(&mut self) {
        if self.taken.capacity() > ROOM {
            self.taken = VecDeque::new();
        }
        let mut waiting = self.queue.lock();
        if waiting.commands.is_empty() && waiting.commands.capacity() > ROOM {
            let room = std::mem::take(&mut waiting.commands);
            drop(waiting);
            drop(room);
        }
    }
}

/// Makes a queue.
pub(crate) fn queue() -> (Sender, Receiver) {
    let queue = Arc::new(Queue::default());
    let sender = Sender(Arc::new(Open(Arc::clone(&queue))));
    (sender, Receiver { queue, taken: VecDeque::new() })
}

#[cfg(test)]
mod tests {
    use super::{Command, ROOM, Receiver, queue};
    use crate::RegistrationId;

    fn unregister(id: u64) -> Command {
        Command::Unregister(RegistrationId(id))
    }

    async fn next(receiver: &mut Receiver) -> Option<u64> {
        match receiver.recv().await? {
            Command::Unregister(id) => Some(id.0),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn commands_come_in_order_and_the_end_after_the_last_sender() {
        let (sender, mut receiver) = queue();
        let other = sender.clone();
        sender.send(unregister(1));
        other.send(unregister(2));
        assert_eq!(next(&mut receiver).await, Some(1));
        sender.send(unregister(3));
        drop(sender);
        other.send(unregister(4));
        drop(other);
        for id in 2..5 {
            assert_eq!(next(&mut receiver).await, Some(id));
        }
        assert_eq!(next(&mut receiver).await, None);
        assert_eq!(next(&mut receiver).await, None);
    }

    #[test]
    fn nothing_is_kept_for_an_event_loop_that_has_ended() {
        let (sender, receiver) = queue();
        sender.send(unregister(1));
        let queue = receiver.queue.clone();
        drop(receiver);
        sender.send(unregister(2));
        assert_eq!(queue.lock().commands.len(), 0);
    }

    #[tokio::test]
    async fn nothing_is_heard_after_the_stop() {
        let (sender, mut receiver) = queue();
        sender.send(unregister(1));
        receiver.stop().stop();
        sender.send(unregister(2));
        assert_eq!(next(&mut receiver).await, None);
    }

    #[tokio::test]
    async fn a_command_from_another_thread_wakes_the_receiver() {
        let (sender, mut receiver) = queue();
        let (told, tell) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            for id in tell {
                sender.send(unregister(id));
            }
        });
        for id in 0..1000 {
            told.send(id).unwrap();
            assert_eq!(next(&mut receiver).await, Some(id));
        }
        drop(told);
        assert_eq!(next(&mut receiver).await, None);
        thread.join().unwrap();
    }

    #[tokio::test]
    async fn other_tasks_run_within_a_burst() {
        let (sender, mut receiver) = queue();
        (0..10_000).for_each(|id| sender.send(unregister(id)));
        let other = tokio::spawn(async {});
        while next(&mut receiver).await < Some(9_000) {}
        assert!(other.is_finished());
    }

    #[tokio::test]
    async fn a_burst_leaves_no_room_behind() {
        let (sender, mut receiver) = queue();
        for _ in 0..2 {
            (0..10_000).for_each(|id| sender.send(unregister(id)));
            for id in 0..10_000 {
                assert_eq!(next(&mut receiver).await, Some(id));
            }
        }
        tokio::select! {
            biased;
            command = receiver.recv() => panic!("{command:?}"),
            () = std::future::ready(()) => {}
        }
        let waiting = receiver.queue.lock().commands.capacity();
        assert!(waiting <= ROOM && receiver.taken.capacity() <= ROOM);
    }
}

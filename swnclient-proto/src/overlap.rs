//! Two registrations of one mount for a moment: a witness has accepted the new
//! one, and the previous one is still asked for what it knows.
//!
//! Whatever the cluster orders once the new one is there, it orders for both.
//! The previous one is asked for [`OVERLAP`] more, since what was ordered before
//! may be known to it alone; meanwhile the new one's notifications wait in its
//! witness's queue. After that the new one is asked, and what the previous one
//! told since the call to register was sent is passed over once, in order.
//!
//! What cannot be known: whether a notification that arrives while the call to
//! register is under way was sent before or after the witness carried it out. If
//! before, and the very same notification is ordered again within [`COPIES`] after
//! the previous registration was released, it is taken for its copy.

use crate::Notification;
use std::collections::VecDeque;
use std::mem::discriminant;
use std::time::Duration;

/// How long the previous registration is asked after the new one was accepted:
/// longer than a response is on its way.
pub(crate) const OVERLAP: Duration = Duration::from_millis(500);
/// How long after its release a notification can be a copy of what it told.
pub(crate) const COPIES: Duration = Duration::from_millis(500);
/// The most notifications that are remembered; later ones take the place of
/// earlier ones.
const MOST: usize = 64;

/// Notifications that another registration may tell again, in order.
#[derive(Debug, Default)]
pub(crate) struct Told(VecDeque<Notification>);

impl Told {
    /// Remembers a notification.
    pub(crate) fn add(&mut self, notification: &Notification) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(notification.clone());
    }

    /// Whether this is the copy of one that is remembered. It and all of its kind
    /// before it are forgotten then: of one kind the other registration tells in the
    /// same order, and may have left some out; but a witness tells what has gathered
    /// kind by kind ([MS-SWN] 3.1.4.4).
    pub(crate) fn is_copy(&mut self, notification: &Notification) -> bool {
        let Some(mut before) = self.0.iter().position(|told| told == notification) else {
            return false;
        };
        self.0.remove(before);
        self.0.retain(|told| {
            let is_before = before > 0;
            before = before.saturating_sub(1);
            !is_before || discriminant(told) != discriminant(notification)
        });
        true
    }

    /// Whether nothing is remembered.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn client_move(last: u8) -> Notification {
        Notification::ClientMove { address: IpAddr::from([10, 0, 0, last]) }
    }

    #[test]
    fn a_copy_is_passed_over_once_and_what_it_left_out_is_forgotten() {
        let mut told = Told::default();
        for last in [1, 2, 3] {
            told.add(&client_move(last));
        }
        assert!(!told.is_copy(&client_move(4)));
        assert!(told.is_copy(&client_move(2)));
        assert!(!told.is_copy(&client_move(2)) && !told.is_copy(&client_move(1)));
        assert!(told.is_copy(&client_move(3)) && told.is_empty());
    }

    #[test]
    fn copies_of_another_kind_may_come_in_another_order() {
        let (first, last) = (client_move(1), client_move(2));
        let between = Notification::ShareMove { address: IpAddr::from([10, 0, 0, 3]) };
        let mut told = Told::default();
        [&first, &between, &last].into_iter().for_each(|notification| told.add(notification));
        assert!(told.is_copy(&last) && !told.is_copy(&first));
        assert!(told.is_copy(&between) && told.is_empty());
    }

    #[test]
    fn a_flood_of_notifications_is_not_remembered_for_ever() {
        let mut told = Told::default();
        for _ in 0..10 {
            (0..=255).for_each(|last| told.add(&client_move(last)));
        }
        assert!(told.0.len() <= MOST);
        assert!(told.is_copy(&client_move(255)));
    }
}

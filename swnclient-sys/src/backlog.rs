//! How much is kept of what a witness has told and no wait has taken yet: a caller
//! may wait once in a day, or never.

use core_client::Notification;
use std::collections::VecDeque;
use std::mem::discriminant;

/// How many notifications of a registration are kept.
pub(crate) const KEPT: usize = 256;

/// Adds a notification. A full queue loses an earlier one on the same subject, or
/// else its oldest.
pub(crate) fn add(queue: &mut VecDeque<Notification>, new: Notification) {
    if queue.len() >= KEPT {
        let superseded = queue.iter().position(|old| supersedes(&new, old));
        queue.remove(superseded.unwrap_or(0));
    }
    queue.push_back(new);
}

/// Whether a later notification says all that matters of an earlier one: a resource
/// has one state, and a mount one place.
fn supersedes(later: &Notification, earlier: &Notification) -> bool {
    match (later, earlier) {
        (
            Notification::ResourceChange { name: later, .. },
            Notification::ResourceChange { name: earlier, .. },
        ) => later == earlier,
        _ => discriminant(later) == discriminant(earlier),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core_client::ResourceState;

    fn change(name: usize, state: ResourceState) -> Notification {
        Notification::ResourceChange { name: name.to_string().into(), state }
    }

    #[test]
    fn a_full_queue_keeps_the_last_state_of_each_resource_in_order() {
        let mut queue = VecDeque::new();
        add(&mut queue, change(0, ResourceState::Unavailable));
        add(&mut queue, Notification::ClientMove { address: [192, 0, 2, 1].into() });
        for name in 2..KEPT {
            add(&mut queue, change(name, ResourceState::Unavailable));
        }
        for _ in 0..10 * KEPT {
            add(&mut queue, change(2, ResourceState::Unavailable));
            add(&mut queue, change(2, ResourceState::Available));
        }
        assert_eq!(queue.len(), KEPT);
        assert_eq!(queue.front(), Some(&change(0, ResourceState::Unavailable)));
        assert!(matches!(queue.get(1), Some(Notification::ClientMove { .. })));
        assert_eq!(queue.back(), Some(&change(2, ResourceState::Available)));
    }

    #[test]
    fn a_full_queue_of_other_resources_loses_its_oldest() {
        let mut queue = VecDeque::new();
        for name in 0..10 * KEPT {
            add(&mut queue, change(name, ResourceState::Available));
        }
        assert_eq!(queue.len(), KEPT);
        assert_eq!(queue.front(), Some(&change(9 * KEPT, ResourceState::Available)));
    }
}

//! What the kernel was asked and has not answered yet.

use super::link::NotifyTarget;
use std::collections::VecDeque;
use swnclient::Notification;

/// What an answer of the kernel answers.
#[derive(Debug)]
pub(super) enum Asked {
    Controller,
    Family,
    Notification { target: NotifyTarget, notification: Notification },
}

/// What the kernel has not answered yet, in the order of the questions, by their
/// sequence numbers. It answers in this order: one is found where it is looked for
/// first.
#[derive(Debug, Default)]
pub(super) struct Questions(VecDeque<(u32, Asked)>);

impl Questions {
    /// How many there is room for while there are none.
    const KEPT: usize = 16;

    pub(super) fn ask(&mut self, sequence: u32, asked: Asked) {
        self.0.push_back((sequence, asked));
    }

    pub(super) fn answered(&mut self, sequence: u32) -> Option<Asked> {
        let index = self.0.iter().position(|(number, _)| *number == sequence)?;
        let (_, asked) = self.0.remove(index)?;
        if self.0.is_empty() {
            self.0.shrink_to(Self::KEPT);
        }
        Some(asked)
    }

    /// No answer will come any more.
    pub(super) fn give_up(&mut self) {
        self.0 = VecDeque::new();
    }
}

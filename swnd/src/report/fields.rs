//! The fields of a report in the journal, by the names that swnd(8) lists.

use super::Report;
use crate::failover::Line;
use std::net::IpAddr;
use swnclient::Notification;

/// Returns the fields of a report, beside its text.
pub fn fields(report: &Report) -> Vec<(&'static str, String)> {
    let mut fields = vec![("message_id", report.kind().message_id().to_owned())];
    let mut put = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
    if let Some(mount) = report.mount() {
        put("swnd_mount", Some(mount.to_string()));
        put("swnd_net_name", Some(mount.net_name().to_string()));
        put("swnd_share_name", mount.share_name().map(ToString::to_string));
    }
    put("swnd_address", address(report).map(|address| address.to_string()));
    put("swnd_notification", notification(report).map(|it| notification_name(it).into()));
    match report {
        Report::Registered { witness, version, .. } => {
            put("swnd_witness", Some(witness.to_string()));
            put("swnd_version", Some(version.to_string()));
        }
        Report::Failed { error, retry_in, .. } => {
            put("swnd_error", Some(error.to_string()));
            put("swnd_retry_seconds", retry_in.map(|delay| format!("{:.1}", delay.as_secs_f32())));
        }
        Report::Unusable { reason, .. } => put("swnd_error", Some(reason.to_string())),
        Report::Notified { answer, delivery, .. } => {
            put("swnd_kernel_errno", answer.err().map(|errno| errno.raw_os_error().to_string()));
            put("swnd_delivery_usec", Some(delivery.as_micros().to_string()));
        }
        Report::NotNotified { error, .. }
        | Report::Failover { line: Line::ServerLost { error, .. }, .. } => {
            put("swnd_error", Some(error.clone()))
        }
        Report::Undecodable { error, .. } => put("swnd_error", Some(error.to_string())),
        _ => {}
    }
    fields
}

/// The address that a report is about: of the node that serves the mount, or is to.
fn address(report: &Report) -> Option<IpAddr> {
    match report {
        Report::Asked { address, .. }
        | Report::AddressChanged { address, .. }
        | Report::Registered { address, .. }
        | Report::Unregistered { address, .. } => *address,
        Report::Failover { line, .. } => match line {
            Line::Watching { address }
            | Line::Unsaid { address }
            | Line::ServerLost { address, .. }
            | Line::EndedDead { address }
            | Line::ServedBy { address, .. }
            | Line::AlreadyAt { address }
            | Line::Shared { address, .. }
            | Line::SharedNumber { address, .. } => Some(*address),
            Line::Steering { target, .. } | Line::TargetSilent { target } => Some(*target),
            _ => None,
        },
        _ => match notification(report)? {
            Notification::ClientMove { address }
            | Notification::ShareMove { address }
            | Notification::IpChange { address } => Some(*address),
            Notification::ResourceChange { .. } => None,
        },
    }
}

fn notification(report: &Report) -> Option<&Notification> {
    match report {
        Report::Told { notification, .. }
        | Report::Ignored { notification, .. }
        | Report::Notified { notification, .. }
        | Report::NotNotified { notification, .. }
        | Report::Late { notification, .. } => Some(notification),
        _ => None,
    }
}

/// Names the type of a notification.
pub fn notification_name(notification: &Notification) -> &'static str {
    match notification {
        Notification::ResourceChange { .. } => "resource_change",
        Notification::ClientMove { .. } => "client_move",
        Notification::ShareMove { .. } => "share_move",
        Notification::IpChange { .. } => "ip_change",
    }
}

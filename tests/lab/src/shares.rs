//! More shares and users than the cluster comes up with.

use crate::{Cluster, PASSWORD};

impl Cluster {
    /// A second user, made by [`Cluster::add_user`]; the password is [`PASSWORD`].
    pub const SECOND_USER: &'static str = "swnother";

    /// The name of one of [`Cluster::add_shares`].
    pub fn share_name(number: usize) -> String {
        format!("more{number}")
    }

    /// Adds shares with names by [`Cluster::share_name`], from 0; each is the directory of the share that is there.
    pub fn add_shares(&self, count: usize) {
        for node in 0..Cluster::NODES {
            let add = format!(
                "conf=/etc/samba/smb.conf; path=$(sed -n 's/.*path = //p' $conf | head -n 1); \
                 for n in $(seq 0 {}); do grep -q \"^\\[more$n\\]\" $conf || \
                 printf '[more%s]\\n\\tpath = %s\\n\\tread only = no\\n' $n \"$path\" >> $conf; done; \
                 until smbcontrol smbd reload-config; do sleep 0.1; done",
                count.saturating_sub(1)
            );
            self.node(node, &["sh", "-c", &add]);
        }
    }

    /// Adds [`Cluster::SECOND_USER`].
    pub fn add_user(&self) {
        let user = Cluster::SECOND_USER;
        for node in 0..Cluster::NODES {
            let add = format!(
                "grep -q ^{user}: /etc/passwd || \
                 echo '{user}:x:7078:65534::/nonexistent:/usr/sbin/nologin' >> /etc/passwd"
            );
            self.node(node, &["sh", "-c", &add]);
        }
        let password = format!(
            "pdbedit -L | grep -q ^{user}: || printf '%s\\n' {PASSWORD} {PASSWORD} | smbpasswd -s -a {user}"
        );
        self.node(self.any_node(), &["sh", "-c", &password]);
    }
}

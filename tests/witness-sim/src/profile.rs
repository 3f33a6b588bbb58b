//! What is known of each vendor's witness service, and where it is from:
//!
//! - a number alone is a section of [MS-SWN], in version 2018-09-12; `<4>` a note of its
//!   appendix B on what Windows does.
//! - "suite": a test of Microsoft's protocol tests, TestSuites/FileServer of
//!   WindowsProtocolTestSuites, or what they share (SWNTestUtility).
//! - "Samba": source3/rpc_server/witness/srv_witness_nt.c, and the cluster of tests/lab.
//! - "unknown": neither is known. [`Profile::ways`] has it both ways.

use crate::traits::{Listed, MoveFlags, NameSource, NodeDeath, Traits};
use dcerpc_proto::association::FaultStatus;
use std::time::Duration;
use swnclient_proto::wire::Status;

/// A vendor's witness service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Windows Server 2012: version 1 only.
    Windows2012,
    /// Windows Server 2012 R2 and later, a scale-out file server.
    Windows2012R2,
    /// The same, a general-purpose file server: a role with an address of its own.
    WindowsRole,
    /// Samba 4.20 and later with CTDB.
    Samba,
    /// Dell OneFS: version 1 only.
    OneFs,
    /// NetApp ONTAP, a pair of nodes.
    Ontap,
}

impl Profile {
    /// Every profile.
    pub const ALL: [Self; 6] = [
        Self::Windows2012,
        Self::Windows2012R2,
        Self::WindowsRole,
        Self::Samba,
        Self::OneFs,
        Self::Ontap,
    ];

    /// The name that scripts and command lines use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Windows2012 => "windows2012",
            Self::Windows2012R2 => "windows2012r2",
            Self::WindowsRole => "windows-role",
            Self::Samba => "samba",
            Self::OneFs => "onefs",
            Self::Ontap => "ontap",
        }
    }

    /// The profile of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name().eq_ignore_ascii_case(name))
    }

    /// How the vendor's service behaves.
    pub fn traits(self) -> Traits {
        match self {
            Self::Windows2012R2 => windows_2012_r2(),
            Self::Windows2012 => windows_2012(),
            Self::WindowsRole => Traits {
                // Suite: SWNRegistration_InvalidIpAddress, SWNRegistrationEx_InvalidShareName,
                // where no share is scale-out.
                checks_addresses: false,
                checks_shares: false,
                // 4.1: the address that is registered is in no list, and moves with its role.
                node_death: NodeDeath::RoleMoves,
                ..windows_2012_r2()
            },
            Self::Samba => samba(),
            Self::OneFs => one_fs(),
            Self::Ontap => ontap(),
        }
    }

    /// How the vendor's service may behave: as [`Profile::traits`] says, and with all that is
    /// unknown the other way.
    pub fn ways(self) -> Vec<Traits> {
        let known = self.traits();
        let other = match self {
            Self::Windows2012 => Traits {
                netbios_name_only: true,
                resource_name: NameSource::Cluster,
                tells_deaths: false,
                ..known.clone()
            },
            Self::Windows2012R2 | Self::WindowsRole => Traits {
                netbios_name_only: true,
                resource_name: NameSource::Cluster,
                move_flags: MoveFlags::State,
                // A role's is told: suite, SWNFileServerFailover_FileServer.
                tells_deaths: known.node_death == NodeDeath::RoleMoves,
                ..known.clone()
            },
            Self::Samba => return vec![known],
            Self::OneFs => Traits {
                group_name: NameSource::Cluster,
                move_flags: MoveFlags::Valid,
                list_waits_for_witness: true,
                checks_addresses: false,
                multiplexing: false,
                header_signing: false,
                ..known.clone()
            },
            Self::Ontap => Traits {
                version_2: false,
                netbios_name_only: true,
                move_flags: MoveFlags::Arbitrary,
                list_waits_for_witness: true,
                checks_addresses: true,
                checks_shares: true,
                multiplexing: false,
                header_signing: false,
                ..known.clone()
            },
        };
        vec![known, other]
    }
}

fn windows_2012_r2() -> Traits {
    Traits {
        // <2>.
        version_2: true,
        // [C706] appendix N.
        unknown_operation: FaultStatus::OP_RNG_ERROR,
        // Unknown: 3.1.4.2 asks for "ServerGlobalName"; the suite registers by the short name.
        netbios_name_only: false,
        // 4.1; suite: VerifyInterfaceList has it from 2012 R2 on.
        list_version: 0xffff_ffff,
        // 4.1.
        listed: Listed::All,
        names_in_capitals: true,
        group_name: NameSource::Node,
        // Unknown: the address's node, or the net name.
        resource_name: NameSource::Node,
        // Suite: VerifyClientMoveShareMoveAndIpChange wants 0x1; 3.1.4.4 a state, too.
        move_flags: MoveFlags::Valid,
        // 3.1.4.1; suite: BVT_SWNGetInterfaceList_ClusterSingleNode, _ScaleOutSingleNode.
        list_waits_for_witness: true,
        // 3.1.4.2, 3.1.4.5; suite: SWNRegistration_InvalidIpAddress and others.
        checks_addresses: true,
        checks_shares: true,
        // <4>; suite: SWNRegistration_InvalidUnRegister.
        unknown_unregister: Status::INVALID_PARAMETER,
        // <5>.
        unused_timeout: Some(Duration::from_secs(30)),
        // 3.1.5.1: IsAsyncNotifyRegistered.
        waiting_is_use: true,
        // 3.1 has none.
        drop_after_leave: None,
        // <6>.
        notify_aliases_once: true,
        // An address of a scale-out file server stays with its node.
        node_death: NodeDeath::Unavailable,
        // Suite: SWNFileServerFailover_ScaleOutFileServer. For a node that does not own the
        // role it is unknown.
        tells_deaths: true,
        tells_returns: true,
        dns_live_only: false,
        // The policy's default.
        mapper_wants_logon: false,
        // [MS-RPCE] 2.2.2.3, 3.3.1.5.8.
        multiplexing: true,
        header_signing: true,
        max_fragment: 5840,
    }
}

fn windows_2012() -> Traits {
    Traits {
        // <2>, <8>.
        version_2: false,
        // Suite: VerifyInterfaceList.
        list_version: 0x0001_0001,
        // <1>.
        move_flags: MoveFlags::Arbitrary,
        // Suite: SWNRegistration_InvalidUnRegister.
        unknown_unregister: Status::NOT_FOUND,
        // 3.1.5.1 is of version 2.
        unused_timeout: None,
        // <6> does not name a version; the other way is in 2012 R2.
        notify_aliases_once: false,
        ..windows_2012_r2()
    }
}

fn samba() -> Traits {
    Traits {
        // All of it: Samba.
        list_version: 0x0002_0000,
        names_in_capitals: false,
        move_flags: MoveFlags::State,
        group_name: NameSource::Cluster,
        resource_name: NameSource::Address,
        list_waits_for_witness: false,
        // "For now we allow all shares".
        checks_shares: false,
        unknown_unregister: Status::NOT_FOUND,
        waiting_is_use: false,
        drop_after_leave: Some(Duration::from_secs(5)),
        notify_aliases_once: false,
        node_death: NodeDeath::Takeover,
        ..windows_2012_r2()
    }
}

/// Known: version 1, names and flow (Dell's description of the failover). The rest is as in
/// Windows Server 2012, or unknown.
fn one_fs() -> Traits {
    Traits {
        names_in_capitals: false,
        // SmartConnect.
        dns_live_only: true,
        resource_name: NameSource::Address,
        // Unknown, as are GroupName, flags, checks, multiplexing and header signing.
        list_waits_for_witness: false,
        ..windows_2012()
    }
}

/// Known: the list has the partner's interfaces only, the partner takes addresses over, and
/// the witness does not help in a giveback (NetApp's documentation). The rest is unknown.
fn ontap() -> Traits {
    Traits {
        listed: Listed::Others,
        names_in_capitals: false,
        group_name: NameSource::Node,
        resource_name: NameSource::Address,
        list_waits_for_witness: false,
        checks_addresses: false,
        checks_shares: false,
        unknown_unregister: Status::NOT_FOUND,
        unused_timeout: None,
        notify_aliases_once: false,
        node_death: NodeDeath::Takeover,
        tells_returns: false,
        ..windows_2012_r2()
    }
}

impl std::fmt::Display for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

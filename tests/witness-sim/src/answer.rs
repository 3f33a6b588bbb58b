//! Answers on their way out, and what goes wrong with them there.

use crate::cluster::{Cluster, Timer};
use crate::connection::ConnId;
use crate::rpc::{Answer, Body, Shape};
use crate::{Stage, Time, What};
use dcerpc_proto::association::FaultStatus;
use dcerpc_proto::epm::EptMap;
use dcerpc_proto::ndr::Writer;
use std::net::Ipv4Addr;
use swnclient_proto::wire::{self, Status};

/// Where bind_ack has the length of the secondary address.
const BIND_ACK_ADDRESS_LEN: usize = 24;
/// Where a PDU has its length.
const FRAG_LENGTH: usize = 8;

impl Cluster {
    /// Sends an answer, with the fault that befalls it.
    pub(crate) fn answer(
        &mut self,
        now: Time,
        conn: ConnId,
        mut answer: Answer,
        fault: Option<(Stage, What)>,
    ) {
        let Some(connection) = self.connections.get_mut(&conn) else {
            return;
        };
        let mut shape = Shape::default();
        let mut on_wire = None;
        if let Some((stage, what)) = fault {
            match what {
                What::NoReply => return connection.rpc.forget(answer.call),
                What::Drop => return self.swallow(conn),
                What::Refuse => return self.close(now, conn, true, "reset by a fault"),
                What::Delay(time) => {
                    return self.start_timer(now + time, Timer::Answer(conn, answer));
                }
                What::Fragments(bytes) => shape.fragment = Some(bytes),
                What::WrongCallId => shape.wrong_call_id = true,
                What::Unprotected => shape.unprotected = true,
                What::Cut(_) | What::Garble(_) | What::Chunks | What::HugeLength => {
                    on_wire = Some(what);
                }
                What::HugeCounts => match &mut answer.body {
                    Body::Response(stub) => enlarge_counts(stage, stub),
                    Body::Ack { .. } => on_wire = Some(what),
                    Body::BindNak(_) | Body::Fault(_) => {}
                },
                What::Truncate(bytes) => {
                    if let Body::Response(stub) = &mut answer.body {
                        stub.truncate(bytes);
                    }
                }
                What::Fault(status) => answer.body = Body::Fault(status),
                What::BindNak(reason) => answer.body = Body::BindNak(reason),
                What::Status(status) => answer.body = returning(stage, status),
                What::Empty => {
                    answer.body = Body::Response(wire::encode_notify_response(Ok(None)));
                }
                What::Storm(changes) => answer.body = Body::Response(storm(changes)),
            }
        }
        let hang_up = matches!(answer.body, Body::BindNak(_));
        let mut bytes = connection.rpc.encode(&answer, shape);
        match on_wire {
            Some(What::Cut(len)) => {
                bytes.truncate(len);
                self.transmit(conn, bytes);
                return self.close(now, conn, true, "cut by a fault");
            }
            Some(What::Garble(offset)) => {
                let last = bytes.len().saturating_sub(1);
                if let Some(byte) = bytes.get_mut(offset.min(last)) {
                    *byte ^= 0x10;
                }
            }
            Some(What::Chunks) => {
                for byte in bytes {
                    self.transmit(conn, vec![byte]);
                }
                return;
            }
            Some(What::HugeLength) => patch(&mut bytes, FRAG_LENGTH, &[0xff; 2]),
            Some(What::HugeCounts) => patch(&mut bytes, BIND_ACK_ADDRESS_LEN, &[0xff; 2]),
            _ => {}
        }
        self.transmit(conn, bytes);
        if hang_up {
            self.close(now, conn, false, "refused");
        }
    }
}

/// The answer by which the call of a stage returns `status`.
fn returning(stage: Stage, status: Status) -> Body {
    Body::Response(match stage {
        Stage::GetInterfaceList => wire::encode_interface_list(Err(status)),
        Stage::Register | Stage::RegisterEx => wire::encode_register_response(Err(status)),
        Stage::AsyncNotify => wire::encode_notify_response(Err(status)),
        Stage::UnRegister => wire::encode_status(status),
        Stage::EptMap => {
            let request = EptMap { interface: wire::INTERFACE, max_towers: 1 };
            request.encode_response(None, Ipv4Addr::UNSPECIFIED)
        }
        Stage::MapperConnect | Stage::MapperBind | Stage::Connect | Stage::Bind | Stage::Auth => {
            return Body::Fault(FaultStatus(status.0));
        }
    })
}

/// The response of AsyncNotify with changes that have no name, available and
/// unavailable in turn.
fn storm(changes: usize) -> Vec<u8> {
    const CHANGE: [[u8; 8]; 2] = [[8, 0, 0, 0, 1, 0, 0, 0], [8, 0, 0, 0, 0xff, 0, 0, 0]];
    let block: Vec<u8> = CHANGE.into_iter().cycle().take(changes).flatten().collect();
    let mut w = Writer::new();
    w.pointer(true);
    w.u32(1);
    w.len(block.len());
    w.len(changes);
    w.pointer(true);
    w.len(block.len());
    w.bytes(&block);
    w.u32(Status::SUCCESS.0);
    w.finish()
}

/// Sets every count and length in a stub to the most that it can say.
fn enlarge_counts(stage: Stage, stub: &mut [u8]) {
    let places: &[usize] = match stage {
        // num_towers and the array's actual count.
        Stage::EptMap => &[20, 32],
        // NumberOfInterfaces and the array's maximum count.
        Stage::GetInterfaceList => &[4, 12],
        // Length, NumberOfMessages, the buffer's maximum count.
        Stage::AsyncNotify => &[8, 12, 20],
        _ => &[],
    };
    for place in places {
        patch(stub, *place, &[0xff; 4]);
    }
}

fn patch(bytes: &mut [u8], at: usize, with: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + with.len()) {
        place.copy_from_slice(with);
    }
}

//! An association (C706 9.3.3, [MS-RPCE] 3.3): one connection to one
//! interface of a server, authenticated or not, with any number of calls.
//!
//! The machine is sans-IO. The owner
//! - writes what [`Association::take_transmit`] gives to the connection,
//! - hands what arrives to [`Association::receive`],
//! - and after each of both takes the events with [`Association::poll_event`].
//!
//! An error from [`Association::receive`] ends the association and with it
//! every call on it, and nothing else.

mod bind;
mod config;
mod error;
mod reassembly;
mod secure;

pub use config::AssociationConfig;
pub use error::{AssociationError, FaultStatus};
pub use secure::{AuthJob, AuthOutcome};

use crate::ndr::{Endian, Reader};
use crate::pdu::{
    Fault, Frame, HEADER_LEN, PacketType, PduWriter, PfcFlags, Request, Response, TRAILER_LEN,
};
use crate::security::Handshake;
use crate::{Operation, ResponseError};
use reassembly::{Frames, Stub};
use secure::Security;
use std::collections::VecDeque;

/// The longest fragment that is offered in both directions, in bytes: what
/// Windows and Samba offer over TCP.
pub const MAX_FRAGMENT: u16 = 5840;
/// Every implementation takes fragments of this length (C706 12.6.3.1,
/// MustRecvFragSize), in bytes.
pub const MIN_FRAGMENT: u16 = 1432;
/// The presentation context that every call uses.
const CONTEXT_ID: u16 = 0;
/// The call identifier of the bind and of what belongs to it.
const BIND_CALL: u32 = 1;
/// Where a request's stub starts, in bytes.
const REQUEST_STUB: usize = HEADER_LEN + Request::LEN;
/// A stub is padded to a multiple of this before the trailer
/// ([MS-RPCE] 2.2.2.11), in bytes.
const PAD_ALIGN: usize = 16;

/// Names a call within its association.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallId(u32);

/// A call's response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The stub, whole and without padding.
    pub stub: Vec<u8>,
    /// The byte order the server wrote it in.
    pub endian: Endian,
}

impl Reply {
    /// Decodes the response to a call of `O`.
    ///
    /// # Errors
    /// Those of [`Operation::decode_response`].
    pub fn decode<O: Operation>(&self) -> Result<O::Output, ResponseError<O::Status>> {
        O::decode_response(&mut Reader::new(&self.stub, self.endian))
    }
}

/// What happens on an association.
#[derive(Debug)]
pub enum Event<P = ()> {
    /// The bind is complete: queued calls have been sent.
    Bound,
    /// A call has ended. With an error the association goes on.
    Reply {
        /// Which call.
        call: CallId,
        /// What it was made for.
        purpose: P,
        /// Its response or the server's fault.
        reply: Result<Reply, FaultStatus>,
    },
    /// The next step of the handshake may wait for something outside: run the job
    /// off the event loop and bring its outcome to [`Association::authenticated`].
    Authenticate(AuthJob),
}

/// State of the bind.
#[derive(Debug)]
enum State {
    /// An [`AuthJob`] has the handshake; `then` is the PDU to carry its token.
    Authenticating { then: Leg },
    /// A bind or alter_context is on its way; `handshake` takes the token of its
    /// answer. There is none without authentication.
    Awaiting { leg: Leg, handshake: Option<Box<dyn Handshake>> },
    /// Calls flow.
    Bound,
    /// An error or the server has ended it.
    Closed,
}

/// A round trip of the bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    Bind,
    AlterContext,
}

/// A request that has been sent.
#[derive(Debug)]
struct Call<P> {
    id: CallId,
    stub: Stub,
    /// `None` once the call has been orphaned.
    purpose: Option<P>,
}

/// A request that waits for the bind, or for its turn.
#[derive(Debug)]
struct Queued<P> {
    call: CallId,
    purpose: P,
    opnum: u16,
    stub: Vec<u8>,
}

/// One association. See the module's description. Each call is made for a purpose
/// `P` of the owner's, which comes back with its reply.
#[derive(Debug)]
pub struct Association<P = ()> {
    config: AssociationConfig,
    state: State,
    security: Option<Security>,
    frames: Frames,
    transmit: Vec<u8>,
    events: VecDeque<Event<P>>,
    /// Sorted by call id; short, since the calls per association are limited. Mostly the first is answered first.
    calls: VecDeque<Call<P>>,
    queue: VecDeque<Queued<P>>,
    /// The length of all stubs that lack fragments, in bytes.
    incomplete: usize,
    last_call: u32,
    /// The longest fragment the server takes, in bytes.
    max_xmit_frag: u16,
    multiplexed: bool,
}

impl Association {
    /// Makes a call of an operation. Its reply is for [`Reply::decode`].
    pub fn invoke<O: Operation>(&mut self, operation: &O) -> Result<CallId, AssociationError> {
        self.call_for((), O::OPNUM, operation.stub())
    }

    /// Makes a call that is known by its identifier alone:
    /// [`Association::call_for`] without a purpose.
    pub fn call(&mut self, opnum: u16, stub: Vec<u8>) -> Result<CallId, AssociationError> {
        self.call_for((), opnum, stub)
    }
}

impl<P> Association<P> {
    /// Starts an association: the bind is ready to be taken, or the first
    /// event is an [`Event::Authenticate`].
    pub fn new(
        config: AssociationConfig,
        handshake: Option<Box<dyn Handshake>>,
    ) -> Result<Self, AssociationError> {
        let level = config.level;
        let service = handshake.as_ref().map(|handshake| handshake.service());
        let mut this = Self {
            config,
            state: State::Closed,
            security: service.map(|service| Security::new(service, level)),
            frames: Frames::default(),
            transmit: Vec::new(),
            events: VecDeque::new(),
            calls: VecDeque::new(),
            queue: VecDeque::new(),
            incomplete: 0,
            last_call: BIND_CALL,
            max_xmit_frag: MIN_FRAGMENT,
            multiplexed: false,
        };
        match handshake {
            Some(handshake) => this.step(handshake, &[], Leg::Bind)?,
            None => this.send_bind(Leg::Bind, &[], None)?,
        }
        Ok(this)
    }

    /// Returns whether the server grants concurrent multiplexing; known once bound.
    pub fn is_multiplexed(&self) -> bool {
        self.multiplexed
    }

    /// Returns whether calls flow.
    pub fn is_bound(&self) -> bool {
        matches!(self.state, State::Bound)
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Returns whether a PDU or a reply has arrived in part.
    pub fn is_mid_reply(&self) -> bool {
        self.incomplete > 0 || self.frames.is_mid_pdu()
    }

    /// Returns how many calls wait for their turn or their reply.
    pub fn calls_under_way(&self) -> usize {
        self.calls.len() + self.queue.len()
    }

    /// Returns what must be written to the connection now; empty where nothing must.
    pub fn take_transmit(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.transmit)
    }

    /// Returns the next event.
    pub fn poll_event(&mut self) -> Option<Event<P>> {
        self.events.pop_front()
    }

    /// Makes a call. Before the bind is complete, or while another call is
    /// under way and the server does not multiplex, it is queued.
    pub fn call_for(
        &mut self,
        purpose: P,
        opnum: u16,
        stub: Vec<u8>,
    ) -> Result<CallId, AssociationError> {
        if self.is_closed() {
            return Err(AssociationError::Closed);
        }
        // Call identifiers come round after 2^32 calls; one that still waits
        // for its reply is passed over.
        let call = loop {
            self.last_call = self.last_call.wrapping_add(1);
            let call = CallId(self.last_call);
            if self.last_call != BIND_CALL && self.position(call).is_err() {
                break call;
            }
        };
        self.queue.push_back(Queued { call, purpose, opnum, stub });
        let result = self.send_queued();
        self.close_on_error(result)?;
        Ok(call)
    }

    /// Gives a call up: its reply is not reported. The server is told
    /// (orphaned, C706 12.6.4.11) and may still answer.
    pub fn orphan(&mut self, call: CallId) {
        self.queue.retain(|queued| queued.call != call);
        let sent = self.position(call).ok().and_then(|index| self.calls.get_mut(index));
        if sent.is_some_and(|call| call.purpose.take().is_some()) {
            self.send_bare(PacketType::Orphaned, call);
        }
    }

    /// Asks the server to end a call early (cancel, C706 12.6.4.6); its
    /// reply or fault is still reported.
    pub fn cancel(&mut self, call: CallId) {
        if self.position(call).is_ok() {
            self.send_bare(PacketType::Cancel, call);
        }
    }

    /// Resumes the bind with the result of an [`Event::Authenticate`] job.
    pub fn authenticated(&mut self, outcome: AuthOutcome) -> Result<(), AssociationError> {
        let State::Authenticating { then } = self.state else {
            return Err(AssociationError::Closed);
        };
        let step = outcome.0.map_err(AssociationError::from);
        let result = step.and_then(|step| self.stepped(step, then));
        self.close_on_error(result)
    }

    /// Takes what has arrived; `data` is used as scratch space. An error ends
    /// the association: close the connection.
    pub fn receive(&mut self, mut data: &mut [u8]) -> Result<(), AssociationError> {
        if self.is_closed() {
            return Err(AssociationError::Closed);
        }
        let result = self.receive_pdus(&mut data);
        self.close_on_error(result)
    }

    fn receive_pdus(&mut self, data: &mut &mut [u8]) -> Result<(), AssociationError> {
        while let Some((header, mut bytes)) = self.frames.next(data)? {
            self.receive_pdu(Frame::split(header, bytes.as_mut())?)?;
        }
        Ok(())
    }

    fn close_on_error<T>(
        &mut self,
        result: Result<T, AssociationError>,
    ) -> Result<T, AssociationError> {
        if result.is_err() {
            self.state = State::Closed;
            self.calls.clear();
            self.incomplete = 0;
            self.queue.clear();
        }
        result
    }

    fn receive_pdu(&mut self, frame: Frame<'_>) -> Result<(), AssociationError> {
        let packet_type = frame.header.packet_type;
        match (&mut self.state, packet_type) {
            (State::Awaiting { leg: Leg::Bind, handshake }, PacketType::BindAck)
            | (
                State::Awaiting { leg: Leg::AlterContext, handshake },
                PacketType::AlterContextResponse,
            ) => {
                let handshake = handshake.take();
                self.receive_ack(frame, handshake)
            }
            (State::Awaiting { .. }, PacketType::BindNak) => Err(bind::nak(&frame)?),
            (State::Awaiting { .. }, PacketType::Fault) => Err(bind::fault(&frame)?),
            (State::Bound, PacketType::Response) => self.receive_response(frame),
            (State::Bound, PacketType::Fault) => self.receive_fault(frame),
            (_, PacketType::Shutdown) => Err(AssociationError::Shutdown),
            _ => Err(AssociationError::Unexpected(packet_type)),
        }
    }

    fn receive_response(&mut self, mut frame: Frame<'_>) -> Result<(), AssociationError> {
        let index = self.under_way(CallId(frame.header.call_id))?;
        match &mut self.security {
            Some(security) => security.unprotect(&mut frame, Response::LEN)?,
            None if frame.trailer.is_some() => return Err(AssociationError::Unprotected),
            None => {}
        }
        let mut body = frame.body()?;
        Response::read(&mut body)?;
        let Some(Call { stub, .. }) = self.calls.get_mut(index) else {
            return Err(AssociationError::UnknownCall(frame.header.call_id));
        };
        let room = self.config.max_response.saturating_sub(self.incomplete);
        let before = stub.len();
        let reply = stub.add(&frame.header, body.rest(), room)?;
        self.incomplete = self.incomplete - before + stub.len();
        match reply {
            Some(reply) => self.end_call(index, Ok(reply)),
            None => Ok(()),
        }
    }

    /// Ends a call by a fault, which may come without protection: Samba sends all of its
    /// faults so, and others do where the security context itself is at fault
    /// ([MS-RPCE] 3.3.1.5.2). A forged one can end a call, as could a cut cable; it
    /// cannot bring data in. Once the server has proved that it knows the credentials,
    /// it cannot refuse them without protection, for that would end more than a call.
    fn receive_fault(&mut self, mut frame: Frame<'_>) -> Result<(), AssociationError> {
        let call = CallId(frame.header.call_id);
        let verified = self.security.as_ref().map(Security::has_verified);
        // A fault is the only answer that auth3 can get.
        if call.0 == BIND_CALL && verified == Some(false) {
            return Err(bind::fault(&frame)?);
        }
        let index = self.under_way(call)?;
        let is_protected = frame.trailer.is_some();
        if let (Some(security), true) = (&mut self.security, is_protected) {
            security.unprotect(&mut frame, Fault::LEN)?;
        }
        let status = FaultStatus(Fault::read(&mut frame.body()?)?.status);
        if status.is_of_security() && verified == Some(true) && !is_protected {
            return Err(AssociationError::Unprotected);
        }
        self.end_call(index, Err(status))
    }

    /// Returns the index of the call in `calls`, or its insertion point.
    fn position(&self, call: CallId) -> Result<usize, usize> {
        self.calls.binary_search_by_key(&call, |call| call.id)
    }

    /// Returns the index of a call that the server answers.
    fn under_way(&self, call: CallId) -> Result<usize, AssociationError> {
        self.position(call).map_err(|_| AssociationError::UnknownCall(call.0))
    }

    fn end_call(
        &mut self,
        index: usize,
        reply: Result<Reply, FaultStatus>,
    ) -> Result<(), AssociationError> {
        let Some(Call { id: call, stub, purpose }) = self.calls.remove(index) else {
            return Ok(());
        };
        self.incomplete -= stub.len();
        if let Some(purpose) = purpose {
            self.events.push_back(Event::Reply { call, purpose, reply });
        }
        self.send_queued()
    }

    /// Sends what may be sent now.
    fn send_queued(&mut self) -> Result<(), AssociationError> {
        while self.is_bound() && (self.multiplexed || self.calls.is_empty()) {
            let Some(Queued { call, purpose, opnum, stub }) = self.queue.pop_front() else {
                break;
            };
            let (Ok(index) | Err(index)) = self.position(call);
            let sent = Call { id: call, stub: Stub::default(), purpose: Some(purpose) };
            self.calls.insert(index, sent);
            self.send_request(call, opnum, &stub)?;
        }
        Ok(())
    }

    fn send_request(
        &mut self,
        call: CallId,
        opnum: u16,
        stub: &[u8],
    ) -> Result<(), AssociationError> {
        let auth_len = match &mut self.security {
            Some(security) => security.signature_len()?,
            None => 0,
        };
        let overhead = REQUEST_STUB + TRAILER_LEN + auth_len;
        let room = usize::from(self.max_xmit_frag).saturating_sub(overhead) / PAD_ALIGN * PAD_ALIGN;
        // A signature longer than a fragment: no provider has one.
        let room = room.max(PAD_ALIGN);
        let mut rest = stub;
        let mut flags = PfcFlags::FIRST_FRAG;
        loop {
            let (part, more) = rest.split_at(rest.len().min(room));
            flags.set(PfcFlags::LAST_FRAG, more.is_empty());
            let mut pdu = PduWriter::new(PacketType::Request, flags, call.0);
            let body = Request {
                alloc_hint: u32::try_from(rest.len()).unwrap_or(u32::MAX),
                context_id: CONTEXT_ID,
                opnum,
            };
            body.write(pdu.body());
            pdu.body().bytes(part);
            match &mut self.security {
                None => self.transmit(pdu.finish(0, &[])),
                Some(security) => {
                    pdu.trailer(security.trailer(), REQUEST_STUB, PAD_ALIGN);
                    let mut pdu = pdu.finish(auth_len, &[]);
                    security.protect(&mut pdu, REQUEST_STUB)?;
                    self.transmit(pdu);
                }
            }
            if more.is_empty() {
                return Ok(());
            }
            rest = more;
            flags = PfcFlags::empty();
        }
    }

    fn send_bare(&mut self, packet_type: PacketType, call: CallId) {
        let pdu = PduWriter::new(packet_type, PfcFlags::WHOLE, call.0);
        self.transmit(pdu.finish(0, &[]));
    }

    /// Queues a PDU. Most often it is the only one: it stays where it was written.
    fn transmit(&mut self, mut pdu: Vec<u8>) {
        if self.transmit.is_empty() {
            self.transmit = pdu;
        } else {
            self.transmit.append(&mut pdu);
        }
    }
}

#[cfg(test)]
mod tests;

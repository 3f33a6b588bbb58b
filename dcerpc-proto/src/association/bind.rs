//! The bind: round trips until both sides know each other ([MS-RPCE] 3.3.1.5).

use super::{
    Association, AssociationError, AuthJob, BIND_CALL, CONTEXT_ID, Event, FaultStatus, Leg, State,
};
use super::{MAX_FRAGMENT, MIN_FRAGMENT};
use crate::pdu::{
    Bind, BindAck, BindNak, Fault, Frame, NDR20, PacketType, PduError, PduWriter, PfcFlags,
    PresentationContext, RejectReason,
};
use crate::security::{Handshake, SecurityError, Step};

impl<P> Association<P> {
    /// Handles bind_ack and alter_context_resp. `handshake` takes the server's
    /// token; there is none without authentication.
    pub(super) fn receive_ack(
        &mut self,
        frame: Frame<'_>,
        handshake: Option<Box<dyn Handshake>>,
    ) -> Result<(), AssociationError> {
        if frame.header.call_id != BIND_CALL {
            return Err(AssociationError::UnknownCall(frame.header.call_id));
        }
        if !frame.header.flags.contains(PfcFlags::WHOLE) {
            return Err(AssociationError::FragmentOrder(frame.header.call_id));
        }
        let ack = BindAck::read(&mut frame.body()?)?;
        match ack.results.first() {
            Some(result) if result.result == 0 && result.transfer_syntax == NDR20 => {}
            other => {
                let (result, reason) = other.map_or((2, 0), |r| (r.result, r.reason));
                return Err(AssociationError::ContextRejected { result, reason });
            }
        }
        if frame.header.packet_type == PacketType::BindAck {
            self.agree(frame.header.flags, &ack)?;
        }
        if let Some(security) = &self.security {
            security.check_trailer(&frame)?;
        }
        match handshake {
            Some(handshake) => self.step(handshake, frame.auth_value, Leg::AlterContext),
            None => self.bound(),
        }
    }

    /// Takes over what the server grants in its bind_ack.
    fn agree(&mut self, granted: PfcFlags, ack: &BindAck) -> Result<(), AssociationError> {
        if ack.max_recv_frag < MIN_FRAGMENT {
            return Err(AssociationError::FragmentTooShort(ack.max_recv_frag));
        }
        self.max_xmit_frag = ack.max_recv_frag.min(MAX_FRAGMENT);
        self.multiplexed = granted.contains(PfcFlags::CONC_MPX);
        if let Some(security) = &mut self.security {
            security.header_signing = granted.contains(PfcFlags::SUPPORT_HEADER_SIGN);
            if self.config.require_header_signing && !security.header_signing {
                return Err(AssociationError::NoHeaderSigning);
            }
        }
        Ok(())
    }

    /// Hands the server's token to the handshake, here or as a job.
    pub(super) fn step(
        &mut self,
        handshake: Box<dyn Handshake>,
        token: &[u8],
        then: Leg,
    ) -> Result<(), AssociationError> {
        let level = self.config.level;
        if handshake.may_block() {
            self.state = State::Authenticating { then };
            let job = AuthJob::new(handshake, token, level);
            self.events.push_back(Event::Authenticate(job));
            return Ok(());
        }
        let step = handshake.step(token, level)?;
        self.stepped(step, then)
    }

    /// Sends the handshake's token by the PDU that fits: the bind, or
    /// alter_context where the server answers once more, or else auth3, which
    /// leaves in one write with the first request.
    pub(super) fn stepped(&mut self, step: Step, then: Leg) -> Result<(), AssociationError> {
        match step {
            Step::Continue { token, handshake } => self.send_bind(then, &token, Some(handshake)),
            Step::Done { token, session } => {
                if then == Leg::Bind {
                    let error = SecurityError::Misuse("the server has no part in the handshake");
                    return Err(error.into());
                }
                if let Some(security) = &mut self.security {
                    security.establish(session);
                }
                if !token.is_empty() {
                    self.send_auth3(&token)?;
                }
                self.bound()
            }
        }
    }

    fn bound(&mut self) -> Result<(), AssociationError> {
        self.state = State::Bound;
        self.events.push_back(Event::Bound);
        self.send_queued()
    }

    /// Sends the PDU of a leg; `handshake` takes the token of the answer.
    pub(super) fn send_bind(
        &mut self,
        leg: Leg,
        token: &[u8],
        handshake: Option<Box<dyn Handshake>>,
    ) -> Result<(), AssociationError> {
        let packet_type = match leg {
            Leg::Bind => PacketType::Bind,
            Leg::AlterContext => PacketType::AlterContext,
        };
        let mut flags = PfcFlags::WHOLE;
        if leg == Leg::Bind {
            flags |= PfcFlags::CONC_MPX;
            flags.set(PfcFlags::SUPPORT_HEADER_SIGN, self.security.is_some());
        }
        let mut pdu = PduWriter::new(packet_type, flags, BIND_CALL);
        let bind = Bind {
            max_xmit_frag: MAX_FRAGMENT,
            max_recv_frag: MAX_FRAGMENT,
            assoc_group_id: 0,
            contexts: vec![PresentationContext {
                id: CONTEXT_ID,
                abstract_syntax: self.config.interface,
                transfer_syntaxes: vec![NDR20],
            }],
        };
        bind.write(pdu.body());
        self.state = State::Awaiting { leg, handshake };
        self.send_with_token(pdu, token)
    }

    fn send_auth3(&mut self, token: &[u8]) -> Result<(), AssociationError> {
        let mut pdu = PduWriter::new(PacketType::Auth3, PfcFlags::WHOLE, BIND_CALL);
        pdu.body().bytes(&[0; 4]); // Padding ([MS-RPCE] 2.2.2.10).
        self.send_with_token(pdu, token)
    }

    /// Sends a PDU with its token, which is never spread over several PDUs.
    fn send_with_token(
        &mut self,
        mut pdu: PduWriter,
        token: &[u8],
    ) -> Result<(), AssociationError> {
        if let Some(security) = &self.security {
            pdu.trailer(security.trailer(), 0, 4);
        }
        if pdu.body().offset() + token.len() > usize::from(u16::MAX) {
            return Err(AssociationError::TokenTooLong(token.len()));
        }
        self.transmit(pdu.finish(token.len(), token));
        Ok(())
    }
}

/// Returns what a bind_nak means.
pub(super) fn nak(frame: &Frame<'_>) -> Result<AssociationError, PduError> {
    let nak = BindNak::read(&mut frame.body()?)?;
    Ok(AssociationError::Rejected(RejectReason::from_wire(nak.reason)))
}

/// Returns what a fault in answer to the bind means. Any status that is not clearly
/// about something else is a refusal of the credentials: an attempt too many
/// locks an account.
pub(super) fn fault(frame: &Frame<'_>) -> Result<AssociationError, PduError> {
    let status = FaultStatus(Fault::read(&mut frame.body()?)?.status);
    Ok(if status.is_rpc_layer() {
        AssociationError::BindFault(status)
    } else {
        AssociationError::AccessDenied(status)
    })
}

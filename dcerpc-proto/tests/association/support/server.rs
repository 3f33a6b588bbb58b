//! The server's side of one association, as a test steers it: it answers the
//! bind by itself and leaves the calls to the test.

use super::{Encoder, Protection};
use dcerpc_proto::ndr::Endian;
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::pdu::{
    Bind, BindAck, ContextResult, Fault, Frame, HEADER_LEN, Header, NDR20, PacketType, PfcFlags,
    Request as RequestBody, Response, SecurityTrailer, TRAILER_LEN,
};
use dcerpc_proto::security::ntlm::{NtlmAcceptor, NtlmCredentials, NtlmInitiator, ServerNames};
use dcerpc_proto::security::spnego::{SpnegoAcceptor, SpnegoInitiator};
use dcerpc_proto::security::{Accepted, Handshake, Protected, SecurityError, Step};
use std::time::SystemTime;

/// Where a request's and a response's stub starts.
const STUB: usize = HEADER_LEN + Response::LEN;

fn jane(password: &str) -> NtlmCredentials {
    NtlmCredentials::from_password("jane", "WORK", password)
}

/// The client's handshake.
pub(crate) fn security(service: AuthService, password: &str) -> Box<dyn Handshake> {
    let ntlm = NtlmInitiator::new(jane(password), &[0x5a; 24], SystemTime::UNIX_EPOCH)
        .for_service("cifs/node1.work.example")
        .from_workstation("LAPTOP");
    match service {
        AuthService::Spnego => Box::new(SpnegoInitiator::new(vec![Box::new(ntlm)])),
        AuthService::Ntlm | AuthService::Kerberos => Box::new(ntlm),
    }
}

/// A request as it was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) call_id: u32,
    pub(crate) opnum: u16,
    pub(crate) stub: Vec<u8>,
    /// How long each of its fragments was, in bytes.
    pub(crate) fragments: Vec<usize>,
}

/// The server's part in the authentication.
enum Acceptor {
    /// There is none.
    Unauthenticated,
    Handshake(Box<dyn Handshake<Accepted>>),
    Accepted(Accepted),
    /// A wrong password: every request is answered by a fault.
    Refused,
}

impl Acceptor {
    /// Takes the client's token and gives the answer's.
    fn step(&mut self, token: &[u8], level: AuthLevel) -> Result<Vec<u8>, SecurityError> {
        let Self::Handshake(handshake) = std::mem::replace(self, Self::Refused) else {
            panic!("the client authenticates when it should not");
        };
        let token = match handshake.step(token, level)? {
            Step::Continue { token, handshake } => {
                *self = Self::Handshake(handshake);
                token
            }
            Step::Done { token, session } => {
                *self = Self::Accepted(session);
                token
            }
        };
        Ok(token)
    }
}

/// See the module's description.
pub(crate) struct Server {
    /// Of everything that it sends.
    pub(crate) endian: Endian,
    /// What its bind_ack grants, and what it says in it.
    pub(crate) grants: PfcFlags,
    pub(crate) max_recv_frag: u16,
    pub(crate) result: ContextResult,
    /// Of what it sends; of what it takes it insists on the right one.
    pub(crate) trailer: SecurityTrailer,
    /// The types of all PDUs that have come in, and their call identifiers.
    pub(crate) log: Vec<(PacketType, u32)>,
    /// What has come in whole and is not answered yet.
    pub(crate) requests: Vec<Request>,
    /// The bind as it came in.
    pub(crate) bind: Option<Bind>,
    acceptor: Acceptor,
    header_signing: bool,
    partial: Option<Request>,
}

impl Server {
    pub(crate) fn new(protection: Protection) -> Self {
        let (service, level) = protection.unwrap_or((AuthService::Ntlm, AuthLevel::Privacy));
        let names = ServerNames {
            netbios_domain: "WORK".into(),
            netbios_computer: "NODE1".into(),
            dns_domain: "work.example".into(),
            dns_computer: "node1.work.example".into(),
        };
        let now = SystemTime::UNIX_EPOCH;
        let ntlm = NtlmAcceptor::new(vec![jane("secret")], names, [0xc3; 8], now);
        let acceptor = match protection {
            None => Acceptor::Unauthenticated,
            Some((AuthService::Spnego, _)) => {
                Acceptor::Handshake(Box::new(SpnegoAcceptor::new(ntlm)))
            }
            Some(_) => Acceptor::Handshake(Box::new(ntlm)),
        };
        Self {
            endian: Endian::Little,
            grants: PfcFlags::CONC_MPX | PfcFlags::SUPPORT_HEADER_SIGN,
            max_recv_frag: 4280,
            result: ContextResult { result: 0, reason: 0, transfer_syntax: NDR20 },
            trailer: SecurityTrailer { service, level, pad_length: 0, context_id: 1 },
            log: Vec::new(),
            requests: Vec::new(),
            bind: None,
            acceptor,
            header_signing: false,
            partial: None,
        }
    }

    /// Takes what the client has sent, which must be whole PDUs; gives the
    /// answer to what belongs to the bind.
    pub(crate) fn receive(&mut self, data: &[u8]) -> Vec<u8> {
        let mut data = data.to_vec();
        let mut rest = data.as_mut_slice();
        let mut answer = Vec::new();
        while !rest.is_empty() {
            let header = Header::read(rest, u16::MAX).unwrap().expect("a whole header");
            assert_eq!(header.endian, Endian::Little);
            let (pdu, after) = rest.split_at_mut(header.frag_length.into());
            rest = after;
            self.log.push((header.packet_type, header.call_id));
            answer.extend(self.receive_pdu(Frame::split(header, pdu).unwrap()));
        }
        answer
    }

    fn receive_pdu(&mut self, frame: Frame<'_>) -> Vec<u8> {
        match frame.header.packet_type {
            PacketType::Bind | PacketType::AlterContext => self.receive_bind(&frame),
            PacketType::Auth3 => {
                assert_eq!(frame.body().unwrap().rest().len(), 4);
                let _ = self.acceptor.step(frame.auth_value, self.trailer.level);
                Vec::new()
            }
            PacketType::Request => self.receive_request(frame),
            PacketType::Orphaned | PacketType::Cancel => Vec::new(),
            other => panic!("the client sent {other:?}"),
        }
    }

    fn receive_bind(&mut self, frame: &Frame<'_>) -> Vec<u8> {
        let header = frame.header;
        self.bind = Some(Bind::read(&mut frame.body().unwrap()).unwrap());
        let mut flags = PfcFlags::WHOLE;
        let packet_type = if header.packet_type == PacketType::Bind {
            flags |= self.grants & header.flags;
            self.header_signing = flags.contains(PfcFlags::SUPPORT_HEADER_SIGN);
            PacketType::BindAck
        } else {
            PacketType::AlterContextResponse
        };
        let ack = BindAck {
            max_xmit_frag: 4280,
            max_recv_frag: self.max_recv_frag,
            assoc_group_id: 0x1234,
            secondary_address: b"49152\0".to_vec(),
            results: vec![self.result],
        };
        let mut pdu = Encoder::new(self.endian, packet_type, flags, header.call_id).body(&ack);
        if let Acceptor::Unauthenticated = self.acceptor {
            return pdu.finish(0);
        }
        match self.acceptor.step(frame.auth_value, self.trailer.level) {
            Ok(token) => {
                let SecurityTrailer { service, level, context_id, .. } = self.trailer;
                pdu.trailer(0, service as u8, level as u8, context_id);
                let mut pdu = pdu.finish(token.len());
                pdu.extend(token);
                pdu
            }
            Err(_) => self.fault(header.call_id, 5),
        }
    }

    fn receive_request(&mut self, frame: Frame<'_>) -> Vec<u8> {
        let header = frame.header;
        if let Acceptor::Refused = self.acceptor {
            return self.fault(header.call_id, 5);
        }
        if let Acceptor::Accepted(accepted) = &mut self.acceptor {
            let trailer = frame.trailer.expect("a security trailer");
            assert_eq!(trailer.service, self.trailer.service);
            assert_eq!(trailer.level, self.trailer.level);
            let stub = frame.sealed_range(RequestBody::LEN).unwrap();
            let message = Protected { pdu: frame.pdu, stub, header_signing: self.header_signing };
            accepted.protection.unprotect(message, frame.auth_value).unwrap();
        }
        let mut body = frame.body().unwrap();
        let request = RequestBody::read(&mut body).unwrap();
        let stub = body.rest();
        if header.flags.contains(PfcFlags::FIRST_FRAG) {
            let whole = self.partial.replace(Request {
                call_id: header.call_id,
                opnum: request.opnum,
                stub: Vec::new(),
                fragments: Vec::new(),
            });
            assert_eq!(whole, None);
        }
        let mut whole = self.partial.take().expect("a first fragment");
        assert_eq!((whole.call_id, whole.opnum), (header.call_id, request.opnum));
        whole.stub.extend_from_slice(stub);
        whole.fragments.push(header.frag_length.into());
        if header.flags.contains(PfcFlags::LAST_FRAG) {
            assert_eq!(request.alloc_hint as usize, stub.len());
            self.requests.push(whole);
        } else {
            assert!(request.alloc_hint as usize > stub.len());
            self.partial = Some(whole);
        }
        Vec::new()
    }

    /// A response in fragments whose stubs are `len` bytes long at most.
    pub(crate) fn respond(&mut self, call_id: u32, stub: &[u8], len: usize) -> Vec<u8> {
        let mut flags = PfcFlags::FIRST_FRAG;
        let mut parts: Vec<&[u8]> = stub.chunks(len).collect();
        let last = parts.pop().unwrap_or_default();
        let mut data = Vec::new();
        for part in parts {
            data.extend(self.fragment(call_id, flags, part));
            flags = PfcFlags::empty();
        }
        data.extend(self.fragment(call_id, flags | PfcFlags::LAST_FRAG, last));
        data
    }

    /// One fragment of a response.
    pub(crate) fn fragment(&mut self, call_id: u32, flags: PfcFlags, part: &[u8]) -> Vec<u8> {
        let response = Response { alloc_hint: u32::MAX, context_id: 0 };
        let mut pdu =
            Encoder::new(self.endian, PacketType::Response, flags, call_id).body(&response);
        pdu.bytes(part);
        self.protect(pdu)
    }

    /// Adds trailer and signature to a response, where the bind agreed on it.
    pub(crate) fn protect(&mut self, mut pdu: Encoder) -> Vec<u8> {
        let Acceptor::Accepted(Accepted { protection, .. }) = &mut self.acceptor else {
            return pdu.finish(0);
        };
        let SecurityTrailer { service, level, context_id, .. } = self.trailer;
        pdu.trailer(STUB, service as u8, level as u8, context_id);
        let mut pdu = pdu.finish(protection.signature_len());
        let stub = STUB..pdu.len() - TRAILER_LEN;
        let message = Protected { pdu: &mut pdu, stub, header_signing: self.header_signing };
        let mut signature = Vec::new();
        protection.protect(message, &mut signature).unwrap();
        pdu.extend(signature);
        pdu
    }

    /// A fault, which comes without protection as Samba's do.
    pub(crate) fn fault(&self, call_id: u32, status: u32) -> Vec<u8> {
        let flags = PfcFlags::WHOLE | PfcFlags::DID_NOT_EXECUTE;
        let fault = Fault { context_id: 0, status };
        Encoder::new(self.endian, PacketType::Fault, flags, call_id).body(&fault).finish(0)
    }

    /// The identifiers of the requests that wait for their answer.
    pub(crate) fn pending(&self) -> Vec<u32> {
        self.requests.iter().map(|request| request.call_id).collect()
    }
}

//! The negotiation tokens (RFC 4178 4.2).

use super::Oid;
use super::der::{self, Reader, tag};

/// 1.3.6.1.5.5.2, SPNEGO itself (RFC 4178 4.2).
const SPNEGO: Oid = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x02];

/// negState (RFC 4178 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NegState {
    AcceptCompleted,
    AcceptIncomplete,
    Reject,
    RequestMic,
}

impl NegState {
    fn code(self) -> u8 {
        match self {
            Self::AcceptCompleted => 0,
            Self::AcceptIncomplete => 1,
            Self::Reject => 2,
            Self::RequestMic => 3,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [Self::AcceptCompleted, Self::AcceptIncomplete, Self::Reject, Self::RequestMic]
            .into_iter()
            .find(|state| state.code() == code)
    }
}

/// Encodes MechTypeList in DER: what mechListMIC signs (RFC 4178 5 a).
pub(super) fn mech_type_list<'a>(mechanisms: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut list = Vec::new();
    for mechanism in mechanisms {
        der::push(&mut list, tag::OBJECT_IDENTIFIER, mechanism);
    }
    der::element(tag::SEQUENCE, &list)
}

/// NegTokenInit (RFC 4178 4.2.1), as a client sends it: without reqFlags,
/// which is out of use, and without mechListMIC, for there is no key yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NegTokenInit<'a> {
    /// MechTypeList in DER.
    pub(super) mech_types: &'a [u8],
    /// The first token of the first mechanism.
    pub(super) mech_token: Option<&'a [u8]>,
}

impl<'a> NegTokenInit<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = der::element(tag::context(0), self.mech_types);
        push_octets(&mut fields, 2, self.mech_token);
        let sequence = der::element(tag::SEQUENCE, &fields);
        // InitialContextToken (RFC 2743 3.1) around the NegotiationToken.
        let mut content = der::element(tag::OBJECT_IDENTIFIER, SPNEGO);
        der::push(&mut content, tag::context(0), &sequence);
        der::element(tag::APPLICATION_0, &content)
    }

    #[cfg(any(test, feature = "acceptor"))]
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut content = Reader::new(Reader::sole(bytes, tag::APPLICATION_0)?);
        if content.expect(tag::OBJECT_IDENTIFIER)? != SPNEGO {
            return None;
        }
        let choice = content.expect(tag::context(0))?;
        if !content.is_empty() {
            return None;
        }
        let mut fields = Reader::new(Reader::sole(choice, tag::SEQUENCE)?);
        let mech_types = fields.expect(tag::context(0))?;
        fields.optional(tag::context(1))?;
        Some(Self { mech_types, mech_token: octets(&mut fields, 2)? })
    }

    /// Returns the mechanisms, preferred first.
    #[cfg(any(test, feature = "acceptor"))]
    pub(super) fn mechanisms(&self) -> Option<Vec<&'a [u8]>> {
        let mut list = Reader::new(Reader::sole(self.mech_types, tag::SEQUENCE)?);
        let mut mechanisms = Vec::new();
        while !list.is_empty() {
            mechanisms.push(list.expect(tag::OBJECT_IDENTIFIER)?);
        }
        Some(mechanisms)
    }
}

/// NegTokenResp (RFC 4178 4.2.2): all further tokens, of either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct NegTokenResp<'a> {
    pub(super) state: Option<NegState>,
    pub(super) supported_mech: Option<&'a [u8]>,
    pub(super) response_token: Option<&'a [u8]>,
    pub(super) mech_list_mic: Option<&'a [u8]>,
}

impl<'a> NegTokenResp<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::new();
        if let Some(state) = self.state {
            let state = der::element(tag::ENUMERATED, &[state.code()]);
            der::push(&mut fields, tag::context(0), &state);
        }
        if let Some(mechanism) = self.supported_mech {
            let mechanism = der::element(tag::OBJECT_IDENTIFIER, mechanism);
            der::push(&mut fields, tag::context(1), &mechanism);
        }
        push_octets(&mut fields, 2, self.response_token);
        push_octets(&mut fields, 3, self.mech_list_mic);
        der::element(tag::context(1), &der::element(tag::SEQUENCE, &fields))
    }

    /// Ignores fields behind those of RFC 4178, as its extension marker asks.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let choice = Reader::sole(bytes, tag::context(1))?;
        let mut fields = Reader::new(Reader::sole(choice, tag::SEQUENCE)?);
        let state = match fields.optional(tag::context(0))? {
            Some(field) => match Reader::sole(field, tag::ENUMERATED)? {
                [code] => Some(NegState::from_code(*code)?),
                _ => return None,
            },
            None => None,
        };
        let supported_mech = match fields.optional(tag::context(1))? {
            Some(field) => Some(Reader::sole(field, tag::OBJECT_IDENTIFIER)?),
            None => None,
        };
        Some(Self {
            state,
            supported_mech,
            response_token: octets(&mut fields, 2)?,
            mech_list_mic: octets(&mut fields, 3)?,
        })
    }
}

fn push_octets(fields: &mut Vec<u8>, number: u8, octets: Option<&[u8]>) {
    if let Some(octets) = octets {
        let octets = der::element(tag::OCTET_STRING, octets);
        der::push(fields, tag::context(number), &octets);
    }
}

/// Reads an optional OCTET STRING with an explicit tag.
fn octets<'a>(fields: &mut Reader<'a>, number: u8) -> Option<Option<&'a [u8]>> {
    match fields.optional(tag::context(number))? {
        Some(field) => Reader::sole(field, tag::OCTET_STRING).map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::{NegState, NegTokenInit, NegTokenResp, mech_type_list};
    use proptest::prelude::*;

    #[test]
    fn tokens_survive_encoding() {
        let list = mech_type_list([&[1_u8, 2][..], &[3]].into_iter());
        let long = [7; 300];
        for mech_token in [None, Some(&long[..])] {
            let init = NegTokenInit { mech_types: &list, mech_token };
            let bytes = init.encode();
            let decoded = NegTokenInit::decode(&bytes).unwrap();
            assert_eq!(decoded, init);
            assert_eq!(decoded.mechanisms().unwrap(), [&[1_u8, 2][..], &[3]]);
        }
        for resp in [
            NegTokenResp::default(),
            NegTokenResp {
                state: Some(NegState::RequestMic),
                supported_mech: Some(&[1, 2]),
                response_token: Some(&long),
                mech_list_mic: Some(&[5; 16]),
            },
        ] {
            assert_eq!(NegTokenResp::decode(&resp.encode()), Some(resp));
        }
    }

    #[test]
    fn a_negotiation_for_ntlm_has_the_known_form() {
        // As Windows and Samba clients offer NTLM alone, with a token "N".
        let list = mech_type_list([crate::security::spnego::NTLM_OID].into_iter());
        let init = NegTokenInit { mech_types: &list, mech_token: Some(b"N") };
        assert_eq!(
            init.encode(),
            [
                &[0x60, 0x21, 0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02][..],
                &[0xa0, 0x17, 0x30, 0x15, 0xa0, 0x0e, 0x30, 0x0c, 0x06, 0x0a],
                &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
                &[0xa2, 0x03, 0x04, 0x01, b'N'],
            ]
            .concat()
        );
    }

    #[test]
    fn tokens_with_bytes_behind_them_or_unknown_states_are_refused() {
        let resp = NegTokenResp { state: Some(NegState::Reject), ..NegTokenResp::default() };
        let mut bytes = resp.encode();
        bytes.push(0);
        assert_eq!(NegTokenResp::decode(&bytes), None);
        let mut bytes = resp.encode();
        *bytes.last_mut().unwrap() = 4;
        assert_eq!(NegTokenResp::decode(&bytes), None);
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60), damage in any::<prop::sample::Index>(), byte: u8) {
            let _ = NegTokenResp::decode(&bytes);
            let _ = NegTokenInit::decode(&bytes).map(|init| init.mechanisms());
            let list = mech_type_list([&bytes[..]].into_iter());
            let init = NegTokenInit { mech_types: &list, mech_token: Some(&bytes) };
            let mut encoded = init.encode();
            let offset = damage.index(encoded.len());
            encoded[offset] = byte;
            let _ = NegTokenInit::decode(&encoded).map(|init| init.mechanisms());
            let resp = NegTokenResp { state: Some(NegState::Reject), supported_mech: Some(&bytes), response_token: Some(&bytes), mech_list_mic: Some(&bytes) };
            let mut encoded = resp.encode();
            let offset = damage.index(encoded.len());
            encoded[offset] = byte;
            let _ = NegTokenResp::decode(&encoded);
        }
    }
}

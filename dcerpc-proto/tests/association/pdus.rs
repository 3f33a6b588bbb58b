//! Each PDU's bytes: both directions, both byte orders, and lengths that lie.

use crate::support::{Encode, Encoder};
use dcerpc_proto::ndr::{Endian, NdrError, Reader, Writer};
use dcerpc_proto::pdu::{AuthLevel, AuthService};
use dcerpc_proto::pdu::{
    Bind, BindAck, BindNak, ContextResult, Fault, Frame, HEADER_LEN, Header, NDR20, PacketType,
    PduError, PduWriter, PfcFlags, PresentationContext, Request, Response, SecurityTrailer,
    SyntaxId,
};
use proptest::prelude::*;

const MAX: u16 = 5840;

const PACKET_TYPES: [PacketType; 12] = [
    PacketType::Request,
    PacketType::Response,
    PacketType::Fault,
    PacketType::Bind,
    PacketType::BindAck,
    PacketType::BindNak,
    PacketType::AlterContext,
    PacketType::AlterContextResponse,
    PacketType::Auth3,
    PacketType::Shutdown,
    PacketType::Cancel,
    PacketType::Orphaned,
];

fn endian() -> impl Strategy<Value = Endian> {
    prop_oneof![Just(Endian::Little), Just(Endian::Big)]
}

fn packet_type() -> impl Strategy<Value = PacketType> {
    proptest::sample::select(&PACKET_TYPES[..])
}

fn flags() -> impl Strategy<Value = PfcFlags> {
    any::<u8>().prop_map(PfcFlags::from_bits_retain)
}

fn syntax() -> impl Strategy<Value = SyntaxId> {
    (any::<u128>(), any::<u16>(), any::<u16>()).prop_map(|(uuid, major, minor)| SyntaxId {
        uuid: uuid::Uuid::from_u128(uuid),
        major,
        minor,
    })
}

fn bind() -> impl Strategy<Value = Bind> {
    let context = (any::<u16>(), syntax(), prop::collection::vec(syntax(), 0..4)).prop_map(
        |(id, abstract_syntax, transfer_syntaxes)| PresentationContext {
            id,
            abstract_syntax,
            transfer_syntaxes,
        },
    );
    (any::<u16>(), any::<u16>(), any::<u32>(), prop::collection::vec(context, 0..4)).prop_map(
        |(max_xmit_frag, max_recv_frag, assoc_group_id, contexts)| Bind {
            max_xmit_frag,
            max_recv_frag,
            assoc_group_id,
            contexts,
        },
    )
}

fn bind_ack() -> impl Strategy<Value = BindAck> {
    let result =
        (any::<u16>(), any::<u16>(), syntax()).prop_map(|(result, reason, transfer_syntax)| {
            ContextResult { result, reason, transfer_syntax }
        });
    (
        any::<(u16, u16, u32)>(),
        prop::collection::vec(any::<u8>(), 0..40),
        prop::collection::vec(result, 0..6),
    )
        .prop_map(
            |((max_xmit_frag, max_recv_frag, assoc_group_id), secondary_address, results)| {
                BindAck { max_xmit_frag, max_recv_frag, assoc_group_id, secondary_address, results }
            },
        )
}

/// Writes the body with the library and with the encoder of the tests, which
/// must agree, and reads it from a PDU of either byte order.
fn survives<T: Encode + PartialEq + std::fmt::Debug>(
    endian: Endian,
    packet_type: PacketType,
    flags: PfcFlags,
    body: &T,
    write: impl FnOnce(&T, &mut Writer),
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, PduError>,
) {
    let mut pdu = PduWriter::new(packet_type, flags, 7);
    write(body, pdu.body());
    let encoded = Encoder::new(Endian::Little, packet_type, flags, 7).body(body).finish(0);
    assert_eq!(pdu.finish(0, &[]), encoded);

    let mut data = Encoder::new(endian, packet_type, flags, 7).body(body).finish(0);
    let header = Header::read(&data, MAX).unwrap().unwrap();
    assert_eq!(header.packet_type, packet_type);
    assert_eq!(header.flags, flags);
    assert_eq!(header.endian, endian);
    assert_eq!(usize::from(header.frag_length), data.len());
    assert_eq!((header.auth_length, header.call_id), (0, 7));
    let frame = Frame::split(header, &mut data).unwrap();
    assert_eq!(frame.trailer, None);
    assert_eq!(read(&mut frame.body().unwrap()).as_ref(), Ok(body));
}

proptest! {
    #[test]
    fn bind_and_alter_context_survive_the_wire(
        endian in endian(), flags in flags(), bind in bind(), alter: bool,
    ) {
        let packet_type = if alter { PacketType::AlterContext } else { PacketType::Bind };
        survives(endian, packet_type, flags, &bind, Bind::write, Bind::read);
    }

    #[test]
    fn bind_ack_and_alter_context_resp_survive_the_wire(
        endian in endian(), flags in flags(), ack in bind_ack(), alter: bool,
    ) {
        let packet_type =
            if alter { PacketType::AlterContextResponse } else { PacketType::BindAck };
        survives(endian, packet_type, flags, &ack, BindAck::write, BindAck::read);
    }

    #[test]
    fn bind_nak_survives_the_wire(endian in endian(), flags in flags(), reason: u16) {
        let nak = BindNak { reason };
        survives(endian, PacketType::BindNak, flags, &nak, BindNak::write, BindNak::read);
    }

    #[test]
    fn request_survives_the_wire(endian in endian(), flags in flags(), f: (u32, u16, u16)) {
        let request = Request { alloc_hint: f.0, context_id: f.1, opnum: f.2 };
        survives(endian, PacketType::Request, flags, &request, Request::write, Request::read);
    }

    #[test]
    fn response_survives_the_wire(endian in endian(), flags in flags(), f: (u32, u16)) {
        let response = Response { alloc_hint: f.0, context_id: f.1 };
        survives(endian, PacketType::Response, flags, &response, Response::write, Response::read);
    }

    #[test]
    fn fault_survives_the_wire(endian in endian(), flags in flags(), f: (u16, u32)) {
        let fault = Fault { context_id: f.0, status: f.1 };
        survives(endian, PacketType::Fault, flags, &fault, Fault::write, Fault::read);
    }

    /// auth3, shutdown, cancel and orphaned have no body; of all types it is the header.
    #[test]
    fn every_type_s_header_survives_the_wire(
        endian in endian(), packet_type in packet_type(), flags in flags(), call_id: u32,
    ) {
        let data = Encoder::new(endian, packet_type, flags, call_id).finish(0);
        let header = Header::read(&data, MAX).unwrap().unwrap();
        let expected = Header {
            packet_type, flags, endian, frag_length: 16, auth_length: 0, call_id,
        };
        prop_assert_eq!(header, expected);
        let written = PduWriter::new(packet_type, flags, call_id).finish(0, &[]);
        prop_assert_eq!(Header::read(&written, MAX).unwrap().unwrap(), Header {
            endian: Endian::Little, ..expected
        });
    }

    #[test]
    fn stub_trailer_and_authentication_value_are_told_apart(
        endian in endian(), stub in prop::collection::vec(any::<u8>(), 0..100),
        auth_value in prop::collection::vec(any::<u8>(), 1..40), context_id: u32,
    ) {
        let response = Response { alloc_hint: 0, context_id: 0 };
        let mut pdu =
            Encoder::new(endian, PacketType::Response, PfcFlags::WHOLE, 2).body(&response);
        pdu.bytes(&stub);
        pdu.trailer(24, 10, 6, context_id);
        let mut data = pdu.finish(auth_value.len());
        data.extend(&auth_value);

        let header = Header::read(&data, MAX).unwrap().unwrap();
        let frame = Frame::split(header, &mut data).unwrap();
        let pad = stub.len().wrapping_neg() % 16;
        prop_assert_eq!(frame.trailer, Some(SecurityTrailer {
            service: AuthService::Ntlm,
            level: AuthLevel::Privacy,
            pad_length: u8::try_from(pad).unwrap(),
            context_id,
        }));
        prop_assert_eq!(&*frame.auth_value, &auth_value[..]);
        let sealed = frame.sealed_range(Response::LEN).unwrap();
        prop_assert_eq!(sealed.len(), stub.len() + pad);
        prop_assert_eq!(&frame.pdu[sealed][..stub.len()], &stub[..]);
        let mut body = frame.body().unwrap();
        Response::read(&mut body).unwrap();
        prop_assert_eq!(body.rest(), &stub[..]);
    }

    #[test]
    fn a_header_is_awaited_until_all_of_it_is_there(len in 0..HEADER_LEN) {
        let data = Encoder::new(Endian::Big, PacketType::Fault, PfcFlags::WHOLE, 2).finish(0);
        prop_assert_eq!(Header::read(&data[..len], MAX), Ok(None));
    }

    #[test]
    fn a_body_cut_short_is_refused_whatever_the_type(
        endian in endian(), bind in bind(), ack in bind_ack(), cut in any::<prop::sample::Index>(),
    ) {
        fn cut_at<T: PartialEq + std::fmt::Debug>(
            whole: &Encoder,
            cut: prop::sample::Index,
            read: impl FnOnce(&mut Reader<'_>) -> Result<T, PduError>,
        ) {
            let mut data = whole.clone().finish(0);
            data.truncate(HEADER_LEN + cut.index(data.len() - HEADER_LEN));
            data[8..10].fill(0);
            let length = u16::try_from(data.len()).unwrap();
            let big = data[4] == 0;
            data[8..10]
                .copy_from_slice(&if big { length.to_be_bytes() } else { length.to_le_bytes() });
            let header = Header::read(&data, MAX).unwrap().unwrap();
            let frame = Frame::split(header, &mut data).unwrap();
            let error = read(&mut frame.body().unwrap()).unwrap_err();
            assert!(matches!(error, PduError::Body(NdrError::Truncated { .. })), "{error:?}");
        }
        let start = |packet_type| Encoder::new(endian, packet_type, PfcFlags::WHOLE, 1);
        cut_at(&start(PacketType::Bind).body(&bind), cut, Bind::read);
        cut_at(&start(PacketType::BindAck).body(&ack), cut, BindAck::read);
        let request = Request { alloc_hint: 1, context_id: 2, opnum: 3 };
        cut_at(&start(PacketType::Request).body(&request), cut, Request::read);
        let response = Response { alloc_hint: 1, context_id: 2 };
        cut_at(&start(PacketType::Response).body(&response), cut, Response::read);
        let fault = Fault { context_id: 1, status: 2 };
        cut_at(&start(PacketType::Fault).body(&fault), cut, Fault::read);
    }

    #[test]
    fn no_bytes_make_the_codec_panic(mut data: Vec<u8>, start_well: bool) {
        if start_well && data.len() >= 10 {
            data[..3].copy_from_slice(&[5, 0, 2]);
            let len = u16::try_from(data.len()).unwrap();
            data[4] = 0x10;
            data[8..10].copy_from_slice(&len.to_le_bytes());
        }
        if let Ok(Some(header)) = Header::read(&data, u16::MAX) {
            data.resize(header.frag_length.into(), 0);
            if let Ok(frame) = Frame::split(header, &mut data) {
                let _ = frame.sealed_range(Response::LEN);
                let _ = frame.body().map(|mut body| Bind::read(&mut body));
                let _ = frame.body().map(|mut body| BindAck::read(&mut body));
                let _ = frame.body().map(|mut body| BindNak::read(&mut body));
                let _ = frame.body().map(|mut body| Request::read(&mut body));
                let _ = frame.body().map(|mut body| Response::read(&mut body));
                let _ = frame.body().map(|mut body| Fault::read(&mut body));
            }
        }
    }
}

fn response() -> Vec<u8> {
    let response = Response { alloc_hint: 0, context_id: 0 };
    let mut pdu =
        Encoder::new(Endian::Little, PacketType::Response, PfcFlags::WHOLE, 2).body(&response);
    pdu.bytes(&[1; 16]);
    pdu.trailer(24, 10, 5, 1);
    let mut data = pdu.finish(16);
    data.extend([2; 16]);
    data
}

/// Reads header and trailer of a response whose bytes were changed.
fn altered(alter: impl FnOnce(&mut Vec<u8>)) -> Result<(), PduError> {
    let mut data = response();
    alter(&mut data);
    let header = Header::read(&data, MAX)?.unwrap();
    Frame::split(header, &mut data).map(drop)
}

#[test]
fn versions_other_than_5_0_and_5_1_are_refused() {
    assert_eq!(altered(|_| {}), Ok(()));
    assert_eq!(altered(|pdu| pdu[1] = 1), Ok(()));
    assert_eq!(altered(|pdu| pdu[1] = 2), Err(PduError::Version(5, 2)));
    // What begins every connectionless PDU, and every SMB message.
    assert_eq!(altered(|pdu| pdu[0] = 4), Err(PduError::Version(4, 0)));
    assert_eq!(altered(|pdu| pdu[0] = 0), Err(PduError::Version(0, 0)));
}

#[test]
fn types_that_the_connection_oriented_protocol_lacks_are_refused() {
    let known: Vec<u8> = PACKET_TYPES.iter().map(|known| *known as u8).collect();
    for packet_type in 0..=u8::MAX {
        let expected = if known.contains(&packet_type) {
            Ok(())
        } else {
            Err(PduError::PacketType(packet_type))
        };
        assert_eq!(altered(|pdu| pdu[2] = packet_type), expected);
    }
}

#[test]
fn an_integer_representation_that_does_not_exist_is_refused() {
    // Characters and floating point numbers, which this crate has none of, may
    // be represented in any way.
    assert_eq!(altered(|pdu| pdu[4..8].copy_from_slice(&[0x11, 3, 0, 0])), Ok(()));
    assert_eq!(altered(|pdu| pdu[4] = 0x20), Err(PduError::Representation(0x20)));
    assert_eq!(altered(|pdu| pdu[4] = 0xff), Err(PduError::Representation(0xff)));
}

#[test]
fn a_fragment_length_below_the_header_or_above_the_agreed_is_refused() {
    for length in [0, 1, 15, MAX + 1, u16::MAX] {
        assert_eq!(
            altered(|pdu| pdu[8..10].copy_from_slice(&length.to_le_bytes())),
            Err(PduError::FragmentLength { length, min: 16, max: MAX })
        );
    }
    for length in [16, MAX] {
        let mut data = response();
        data[8..10].copy_from_slice(&length.to_le_bytes());
        assert_eq!(Header::read(&data, MAX).unwrap().unwrap().frag_length, length);
    }
}

#[test]
fn an_authentication_length_beyond_the_pdu_is_refused() {
    // Of 64 bytes the header takes 16 and the trailer 8.
    for length in [41, 48, 64, 65, 1000, u16::MAX] {
        assert_eq!(
            altered(|pdu| pdu[10..12].copy_from_slice(&length.to_le_bytes())),
            Err(PduError::AuthLength { length, pad: 0 }),
            "{length}"
        );
    }
}

#[test]
fn padding_beyond_the_body_is_refused() {
    let pad = |pad| altered(|pdu| pdu[42] = pad);
    assert_eq!(pad(16), Ok(()));
    assert_eq!(pad(24), Ok(()));
    assert_eq!(pad(25), Err(PduError::AuthLength { length: 16, pad: 25 }));
    assert_eq!(pad(255), Err(PduError::AuthLength { length: 16, pad: 255 }));

    // It may not reach into what comes before the stub either.
    let mut data = response();
    data[42] = 17;
    let header = Header::read(&data, MAX).unwrap().unwrap();
    let frame = Frame::split(header, &mut data).unwrap();
    assert!(matches!(
        frame.sealed_range(Response::LEN),
        Err(PduError::Body(NdrError::Truncated { .. }))
    ));
}

#[test]
fn unknown_services_and_levels_are_refused() {
    for (service, level) in [(0, 5), (11, 5), (68, 6), (10, 0), (10, 1), (10, 2), (10, 4), (10, 7)]
    {
        assert_eq!(
            altered(|pdu| pdu[40..42].copy_from_slice(&[service, level])),
            Err(PduError::Security { service, level })
        );
    }
    for (service, level) in [(9, 5), (9, 6), (10, 6), (16, 5)] {
        assert_eq!(altered(|pdu| pdu[40..42].copy_from_slice(&[service, level])), Ok(()));
    }
}

#[test]
fn counts_beyond_the_body_are_refused() {
    let ack = BindAck {
        max_xmit_frag: MAX,
        max_recv_frag: MAX,
        assoc_group_id: 1,
        secondary_address: b"135\0".to_vec(),
        results: vec![ContextResult { result: 0, reason: 0, transfer_syntax: NDR20 }],
    };
    let read = |at: usize, value: u8| {
        let mut data = Encoder::new(Endian::Little, PacketType::BindAck, PfcFlags::WHOLE, 1)
            .body(&ack)
            .finish(0);
        data[at] = value;
        let header = Header::read(&data, MAX).unwrap().unwrap();
        let frame = Frame::split(header, &mut data).unwrap();
        BindAck::read(&mut frame.body().unwrap())
    };
    assert_eq!(read(24, 4), Ok(ack.clone()));
    let truncated = |read| matches!(read, Err(PduError::Body(NdrError::Truncated { .. })));
    // The secondary address's length, and the number of results.
    assert!(truncated(read(25, 0xff)));
    assert!(truncated(read(32, 2)));
    assert!(truncated(read(32, 255)));
}

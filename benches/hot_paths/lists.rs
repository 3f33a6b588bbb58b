//! Lists of interfaces, as a server of a small and of a large cluster sends them.

use criterion::{BenchmarkId, Criterion};
use dcerpc_proto::Operation;
use dcerpc_proto::ndr::{Endian, Reader};
use smol_str::format_smolstr;
use std::hint::black_box;
use std::net::Ipv4Addr;
use swnclient_proto::ResourceState;
use swnclient_proto::wire::{GetInterfaceList, Interface, Version, encode_interface_list};

pub(crate) fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("decode an interface list");
    for nodes in [3, 64] {
        let stub = encode_interface_list(Ok(&list(nodes)));
        group.bench_with_input(BenchmarkId::from_parameter(nodes), &stub, |bencher, stub| {
            bencher.iter(|| {
                let mut stub = Reader::new(black_box(stub), Endian::Little);
                GetInterfaceList::decode_response(&mut stub)
            });
        });
    }
}

fn list(nodes: u8) -> Vec<Interface> {
    let node = |number| Interface {
        group_name: format_smolstr!("NODE{number}"),
        version: Version::V2.to_wire(),
        state: ResourceState::Available,
        ipv4: Some(Ipv4Addr::new(10, 0, 0, number)),
        ipv6: None,
        witness: number != 1,
    };
    (1..=nodes).map(node).collect()
}

//! The hosts of 150 keys by ring hash and Maglev.
//!
//! Expected hosts were computed by a program of its own, in another language and with the reference xxHash64, from the
//! published algorithms: Envoy's ring hash and Maglev load balancers (l7.md 2.3.1 and 2.3.2). A digit is the place of
//! the host of `user-0`, `user-1` and so on.
#![allow(clippy::unwrap_used, missing_docs)]

use std::time::Instant;

use mesh_core::lb::{
    Algorithm, Balancing, Cluster, HostSpec, Pick, RequestHash, RingSize, TableSize,
};

const ALIKE: [(&str, u32); 5] = [
    ("10.0.0.1:8080", 1),
    ("10.0.0.2:8080", 1),
    ("10.0.0.3:8080", 1),
    ("10.0.0.4:8080", 1),
    ("10.0.0.5:8080", 1),
];
const WEIGHTED: [(&str, u32); 5] = [
    ("10.0.0.1:8080", 1),
    ("10.0.0.2:8080", 1),
    ("10.0.0.3:8080", 3),
    ("10.0.0.4:9090", 2),
    ("[fd00::5]:8080", 1),
];

/// The hosts of the keys, a digit each.
fn hosts(algorithm: Algorithm, hosts: &[(&str, u32)]) -> String {
    let specs = hosts.iter().map(|(key, weight)| HostSpec {
        weight: *weight,
        ..HostSpec::new(*key, ())
    });
    let mut balancing = Balancing::default();
    balancing.algorithm = algorithm;
    let now = Instant::now();
    let cluster = Cluster::new(balancing, specs.collect(), now, &mut || 0);
    let of = |key: usize| {
        let mut hash = RequestHash::default();
        hash.add(format!("user-{key}").as_bytes());
        let mut pick = Pick::default();
        pick.hash = hash.value();
        let host = cluster.pick(&pick, now, &mut || 0).unwrap();
        let place = hosts
            .iter()
            .position(|(key, _)| *key == &*host.spec().key)
            .unwrap();
        place.to_string()
    };
    (0..150).map(of).collect()
}

#[test]
fn a_ring_gives_150_keys_the_hosts_of_the_published_algorithm() {
    let ring = Algorithm::RingHash(RingSize::default());
    assert_eq!(
        hosts(ring, &ALIKE),
        "232442344443234222114343401421320430432313102443240241242131141032012313114034430341020433344412213323441121141200201014004122414333204433444342434234"
    );
    assert_eq!(
        hosts(ring, &WEIGHTED),
        "222334421342233242113223312241220320442313222203243323224103131122312233114332223342123212220432311031434121121231221010202222210321303430342242223442"
    );
}

#[test]
fn maglev_gives_150_keys_the_hosts_of_the_published_algorithm() {
    let maglev = Algorithm::Maglev(TableSize::default());
    assert_eq!(
        hosts(maglev, &ALIKE),
        "210334023204422203033144032401311404210301422204333242422214104100034421022242214442203030044221344224124422012022410032220043334210044411001341200121"
    );
    assert_eq!(
        hosts(maglev, &WEIGHTED),
        "240323423242322222033144342201144433230203323203434232322212103100224223242232344232233032023222324232123222032332410024320431340230223211303321233123"
    );
}

use std::sync::Arc;

use mesh_core::model::{Workload, WorkloadSpec};
use proptest::prelude::*;

use super::Connections;
use crate::connection::Connection;
use crate::guard::group::{Entry, Group, Stage};
use crate::index::PolicyIndex;

fn entry() -> Entry {
    let connection = Connection::new([10, 0, 0, 1].into(), None, ([10, 0, 0, 2], 80).into());
    Entry::new(&connection, Stage::Live(None))
}

fn group(uid: &str) -> Group {
    let spec = WorkloadSpec {
        uid: uid.into(),
        ..WorkloadSpec::default()
    };
    Group::new(Arc::new(Workload::new(spec)), &PolicyIndex::default())
}

proptest! {
    /// Whatever comes and goes, each workload has a group of its own, and places are used again.
    #[test]
    fn groups_that_come_and_go_share_no_place(steps in prop::collection::vec(0_usize..8, 0..80)) {
        let mut connections = Connections::default();
        let mut places = [None; 8];
        for step in steps {
            let uid = format!("workload-{step}");
            match places[step].take() {
                Some(place) => prop_assert!(connections.remove(place).is_some()),
                None => {
                    let at = connections.group_of(&uid, || group(&uid)).unwrap();
                    places[step] = connections.insert(at, entry());
                }
            }
            let taken = places.iter().flatten().count();
            prop_assert_eq!(connections.len(), taken);
            prop_assert!(connections.groups() <= 8);
            if taken == 0 {
                prop_assert_eq!(connections.groups(), 0);
            }
            for (number, place) in places.iter().enumerate() {
                let uid = format!("workload-{number}");
                let known = connections.workload(&uid).map(|workload| workload.uid().to_owned());
                prop_assert_eq!(known, place.map(|_| uid));
            }
        }
    }
}

//! Manifests: any text is objects or a problem with its place; objects have a status each, make a
//! mesh, and stay as they are when the text breaks.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mesh_authz::kube::{Attachment, Profile};
use mesh_xds::manifest::{Catalog, Mesh, MeshOptions, Problem, mesh, parse};

const FILE: &str = "fuzz.yaml";

fuzz_target!(|text: &str| {
    let documents = match parse(text, FILE) {
        Ok(documents) => documents,
        Err(problem) => return check(&problem),
    };
    let mut catalog = Catalog::new();
    catalog.set_file(FILE, text);
    catalog.settle();
    assert!(!catalog.settle(), "nothing is new");
    let statuses = catalog.statuses();
    assert_eq!(statuses.len(), documents.len());
    for status in &statuses {
        status
            .rejection()
            .into_iter()
            .chain(&status.notes)
            .for_each(check);
    }
    for policy in catalog.inventory().authorization_policies.iter() {
        if !matches!(policy.attachment, Attachment::Targets(_)) {
            let projected = policy.project_l4(Profile::Strict).policy;
            assert!(projected.is_none_or(|one| one.key() == policy.policy.key()));
        }
    }

    let before = build(&catalog);
    before.notes.iter().for_each(|(_, note)| check(note));
    catalog.set_file(FILE, "}");
    assert!(!catalog.settle(), "what was there stays");
    assert_eq!(catalog.file_problems().len(), 1);
    let after = build(&catalog);
    assert_eq!(before.workloads, after.workloads);
    assert_eq!(before.services, after.services);

    catalog.remove_file(FILE);
    catalog.settle();
    let gone = build(&catalog);
    assert!(gone.workloads.is_empty() && gone.services.is_empty());
});

fn build(catalog: &Catalog) -> Mesh {
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    mesh::build(&catalog.inventory(), &options, &|_, _| Vec::new())
}

/// A problem says where it is, and what.
fn check(problem: &Problem) {
    assert_eq!(problem.place.file, FILE, "{problem}");
    assert!(problem.place.line > 0, "{problem}");
    assert!(!problem.text.is_empty(), "{problem}");
}

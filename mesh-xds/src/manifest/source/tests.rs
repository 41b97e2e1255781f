//! Tests of watching a directory: what the store holds after each state of it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mesh_authz::kube::{Profile, Settings};
use mesh_authz::store::PolicyStore;
use mesh_authz::{Connection, Verdict};
use mesh_core::store::MeshStore;

use super::{ManifestSource, MeshOptions, Report};
use crate::manifest::{Catalog, State};

/// A directory that is removed at the end of the test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("mesh-manifest-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }

    /// Replaces a file as careful writers do.
    fn replace(&self, name: &str, text: &str) {
        self.write(".new", text);
        fs::rename(self.0.join(".new"), self.0.join(name)).unwrap();
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn source(directory: &Path) -> (ManifestSource, Arc<MeshStore>) {
    let store = Arc::new(MeshStore::new());
    let options = MeshOptions::new("cluster.local".parse().unwrap());
    (
        ManifestSource::new(directory, options, store.clone()),
        store,
    )
}

fn pod(name: &str, ip: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nstatus: {{podIP: {ip}}}\n---\n")
}

fn names(store: &MeshStore) -> Vec<String> {
    let snapshot = store.snapshot();
    let mut names: Vec<_> = snapshot
        .workloads()
        .map(|one| one.name().to_string())
        .collect();
    names.sort();
    names
}

fn texts(problems: &[super::Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn files_of_directories_below_count_and_hidden_ones_do_not() {
    let directory = Directory::new("tree");
    fs::create_dir_all(directory.0.join("a/b")).unwrap();
    fs::create_dir_all(directory.0.join(".git")).unwrap();
    symlink("..", directory.0.join("a/loop")).unwrap();
    directory.write("one.yaml", &pod("one", "10.0.0.1"));
    directory.write("a/b/two.yml", &pod("two", "10.0.0.2"));
    directory.write(
        "a/three.json",
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \
        \"metadata\": {\"name\": \"three\"}, \"status\": {\"podIP\": \"10.0.0.3\"}}",
    );
    directory.write("a/four.txt", &pod("four", "10.0.0.4"));
    directory.write(".five.yaml", &pod("five", "10.0.0.5"));
    directory.write(".git/six.yaml", &pod("six", "10.0.0.6"));
    let (mut source, store) = source(&directory.0);
    let report = source.first_look().unwrap();
    assert_eq!(report.loaded.workloads, 3);
    assert_eq!(names(&store), ["one", "three", "two"]);
    assert!(source.look().is_none(), "nothing is new");
}

#[test]
fn a_broken_file_keeps_its_objects_and_says_so_once() {
    let directory = Directory::new("broken");
    directory.write("a.yaml", &pod("a", "10.0.0.1"));
    directory.write("b.yaml", &pod("b", "10.0.0.2"));
    let (mut source, store) = source(&directory.0);
    source.first_look().unwrap();

    directory.replace("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a\n");
    let report = source.look().unwrap();
    assert_eq!(report.rejected.len(), 1);
    assert!(
        report.rejected[0].to_string().starts_with("a.yaml:"),
        "{:?}",
        report.rejected
    );
    assert_eq!(names(&store), ["a", "b"]);

    directory.replace("b.yaml", &pod("c", "10.0.0.2"));
    let report = source.look().unwrap();
    assert!(
        report.rejected.is_empty(),
        "it was told already: {:?}",
        report.rejected
    );
    assert_eq!(names(&store), ["a", "c"]);

    directory.replace("a.yaml", &pod("d", "10.0.0.1"));
    source.look().unwrap();
    assert_eq!(names(&store), ["c", "d"]);
}

#[test]
fn files_written_in_place_count_when_they_have_settled() {
    let directory = Directory::new("in-place");
    directory.write("a.yaml", &pod("a", "10.0.0.1"));
    let (mut source, store) = source(&directory.0);
    source.first_look().unwrap();
    // A new file may be half written when it is seen for the first time.
    directory.write("b.yaml", &pod("b", "10.0.0.2"));
    assert!(source.look().is_none());
    directory.write("b.yaml", &(pod("b", "10.0.0.2") + &pod("c", "10.0.0.3")));
    assert!(source.look().is_none());
    assert!(source.look().is_some());
    assert_eq!(names(&store), ["a", "b", "c"]);
}

#[test]
fn a_file_is_gone_when_two_looks_do_not_find_it() {
    let directory = Directory::new("gone");
    directory.write("a.yaml", &pod("a", "10.0.0.1"));
    directory.write("b.yaml", &pod("b", "10.0.0.2"));
    let (mut source, store) = source(&directory.0);
    source.first_look().unwrap();
    fs::rename(directory.0.join("a.yaml"), directory.0.join("a.yaml~")).unwrap();
    assert!(source.look().is_none());
    // The editor puts the new version in its place.
    directory.write("a.yaml", &pod("c", "10.0.0.1"));
    while source.look().is_none() {}
    assert_eq!(names(&store), ["b", "c"]);
    fs::remove_file(directory.0.join("a.yaml")).unwrap();
    assert!(source.look().is_none());
    assert!(source.look().is_some());
    assert_eq!(names(&store), ["b"]);
}

#[test]
fn the_swapped_link_of_a_kubernetes_volume_is_seen() {
    let directory = Directory::new("volume");
    for version in ["..v1", "..v2"] {
        fs::create_dir(directory.0.join(version)).unwrap();
        directory.write(
            &format!("{version}/mesh.yaml"),
            &pod(&version[2..], "10.0.0.1"),
        );
    }
    symlink("..v1", directory.0.join("..data")).unwrap();
    symlink("..data/mesh.yaml", directory.0.join("mesh.yaml")).unwrap();
    let (mut source, store) = source(&directory.0);
    source.first_look().unwrap();
    assert_eq!(names(&store), ["v1"]);
    symlink("..v2", directory.0.join("..new")).unwrap();
    fs::rename(directory.0.join("..new"), directory.0.join("..data")).unwrap();
    assert!(source.look().is_some());
    assert_eq!(names(&store), ["v2"]);
}

#[test]
fn a_directory_that_cannot_be_read_changes_nothing() {
    let directory = Directory::new("away");
    directory.write("a.yaml", &pod("a", "10.0.0.1"));
    let (mut source, store) = source(&directory.0);
    source.first_look().unwrap();
    let away = directory.0.with_extension("away");
    fs::rename(&directory.0, &away).unwrap();
    let report = source.look().unwrap();
    assert!(texts(&report.rejected)[0].contains("cannot read the directory"));
    assert!(source.look().is_none(), "it is told once");
    assert_eq!(names(&store), ["a"]);
    fs::rename(&away, &directory.0).unwrap();
    assert!(source.look().is_some());
    assert_eq!(names(&store), ["a"]);
}

#[test]
fn the_first_look_fails_for_what_cannot_be_passed_over() {
    let directory = Directory::new("first");
    let (mut missing, _) = source(&directory.0.join("none"));
    assert!(
        missing
            .first_look()
            .unwrap_err()
            .to_string()
            .contains("cannot read the directory")
    );
    let (mut empty, _) = source(&directory.0);
    assert_eq!(empty.first_look().unwrap().loaded.workloads, 0);
    // A mistake in an object that forbids nothing keeps nobody from starting.
    directory.write(
        "a.yaml",
        &(pod("a", "10.0.0.1") + "apiVersion: v9\nkind: Pod\nmetadata: {name: b}\n"),
    );
    let (mut some, store) = source(&directory.0);
    assert_eq!(some.first_look().unwrap().rejected.len(), 1);
    assert_eq!(names(&store), ["a"]);
    directory.write(
        "b.yaml",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
        metadata: {name: p}\nspec: {action: DENYY}\n",
    );
    let problem = source(&directory.0).0.first_look().unwrap_err().to_string();
    assert!(problem.starts_with("b.yaml:"), "{problem}");
}

#[tokio::test]
async fn watching_reports_each_change() {
    let directory = Directory::new("watch");
    directory.write("a.yaml", &pod("a", "10.0.0.1"));
    let (source, store) = source(&directory.0);
    let (reports, mut reported) = tokio::sync::mpsc::unbounded_channel::<Report>();
    let watching = tokio::spawn(source.watch(move |report| {
        let _ = reports.send(report);
    }));
    assert_eq!(reported.recv().await.unwrap().loaded.workloads, 1);
    directory.replace("a.yaml", "}");
    assert_eq!(reported.recv().await.unwrap().rejected.len(), 1);
    directory.replace("a.yaml", &pod("b", "10.0.0.1"));
    assert!(reported.recv().await.unwrap().rejected.is_empty());
    assert_eq!(names(&store), ["b"]);
    watching.abort();
}

const SELECTED: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {app: web}}\n\
                        status: {podIP: 10.0.0.1}\n---\n";

fn with_policies(directory: &Path) -> (ManifestSource, Arc<MeshStore>, Arc<PolicyStore>) {
    let (source, store) = source(directory);
    let policies = Arc::new(PolicyStore::new());
    (source.policies(policies.clone()), store, policies)
}

fn named(store: &MeshStore) -> Vec<String> {
    let snapshot = store.snapshot();
    let workload = snapshot.workload_at("", [10, 0, 0, 1].into()).unwrap();
    let policies = workload.authorization_policies();
    policies.iter().map(ToString::to_string).collect()
}

/// authz.md 1.2.6: selector policies are named by the workloads that they select; policies with
/// targets are not for node proxies.
#[test]
fn policies_are_attached_to_the_workloads_that_they_select() {
    let directory = Directory::new("policies");
    let policy = |name: &str, namespace: &str, spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
             metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n---\n"
        )
    };
    let text = [
        SELECTED.to_owned(),
        policy(
            "selected",
            "default",
            "{selector: {matchLabels: {app: web}}}",
        ),
        policy(
            "others",
            "default",
            "{selector: {matchLabels: {app: other}}}",
        ),
        policy(
            "everywhere",
            "istio-system",
            "{selector: {matchLabels: {app: web}}}",
        ),
        policy("elsewhere", "shop", "{selector: {matchLabels: {app: web}}}"),
        policy("namespace", "default", "{}"),
        policy(
            "target",
            "default",
            "{targetRefs: [{group: '', kind: Service, name: web}], action: DENY, rules: [{}]}",
        ),
    ];
    directory.write("a.yaml", &text.concat());
    let (mut source, store, policies) = with_policies(&directory.0);
    let report = source.first_look().unwrap();
    assert_eq!(report.loaded.policies, 5);
    assert_eq!(
        named(&store),
        ["istio-system/everywhere", "default/selected"]
    );
    let index = policies.index();
    assert!(index.policy("default/namespace").is_some());
    assert!(index.policy("default/target").is_none());
    assert_eq!(source.inventory().authorization_policies.len(), 6);
}

/// authz.md 2.3: what peer authentication becomes for a node proxy.
#[test]
fn peer_authentication_becomes_a_policy_of_the_workloads_that_it_is_for() {
    let directory = Directory::new("peer");
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                  metadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: STRICT}}\n---\n";
    let ports = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: web}\n\
                 spec:\n  selector: {matchLabels: {app: web}}\n  portLevelMtls: {8080: {mode: PERMISSIVE}}\n";
    directory.write("a.yaml", &(SELECTED.to_owned() + strict));
    let (mut source, store, policies) = with_policies(&directory.0);
    source.first_look().unwrap();
    assert_eq!(
        named(&store),
        ["istio-system/istio_converted_static_strict"]
    );
    let index = policies.index();
    assert!(
        index
            .policy("istio-system/istio_converted_static_strict")
            .is_some()
    );
    directory.replace("a.yaml", &(SELECTED.to_owned() + strict + ports));
    source.look().unwrap();
    assert_eq!(named(&store), ["default/converted_peer_authentication_web"]);
    assert_eq!(policies.index().len(), 1);
}

#[test]
fn a_policy_with_a_mistake_keeps_its_last_good_version_and_says_where() {
    let directory = Directory::new("bad-policy");
    let policy = |spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: p}}\n\
             spec:\n  action: DENY\n  rules:\n  - from:\n    - source: {spec}\n"
        )
    };
    directory.write("p.yaml", &policy("{namespaces: [shop]}"));
    let (mut source, _, policies) = with_policies(&directory.0);
    source.first_look().unwrap();
    let cases = [
        (
            "{ipBlocks: [10.0.0.0/33]}",
            "p.yaml:8:27: spec.rules[0].from[0].source.ipBlocks[0]: ",
        ),
        (
            "{namespace: [shop]}",
            "p.yaml:8:16: spec.rules[0].from[0].source.namespace: unknown field",
        ),
        (
            "{namespaces: shop}",
            "p.yaml:8:28: spec.rules[0].from[0].source.namespaces: expected a list",
        ),
        (
            "{namespaces: [8080]}",
            "p.yaml:8:29: spec.rules[0].from[0].source.namespaces[0]: expected a text",
        ),
    ];
    for (spec, expected) in cases {
        directory.replace("p.yaml", &policy(spec));
        let report = source.look().unwrap();
        let rejected = texts(&report.rejected);
        assert_eq!(rejected.len(), 1, "{rejected:?}");
        assert!(rejected[0].starts_with(expected), "{}", rejected[0]);
        let state = &report.statuses[0].state;
        assert!(
            matches!(
                state,
                State::Rejected {
                    earlier_stays: true,
                    ..
                }
            ),
            "{state:?}"
        );
        assert!(policies.index().policy("default/p").is_some());
    }
    // Whoever starts now has nothing to stay with.
    assert!(with_policies(&directory.0).0.first_look().is_err());
}

/// authz.md 0.6: a policy that is rejected and has no good version denies where it would have applied.
#[test]
fn a_policy_that_was_never_right_denies_what_it_is_for_until_it_is() {
    let object = |kind: &str, metadata: &str, spec: &str| {
        format!(
            "apiVersion: security.istio.io/v1\nkind: {kind}\n\
             metadata: {{name: new, {metadata}}}\nspec: {spec}\n"
        )
    };
    let (policy, peer) = ("AuthorizationPolicy", "PeerAuthentication");
    let wrong = "rules: [{from: [{source: {ipBlocks: [10.0.0.0/33]}}]}]";
    let deny = |more: &str| format!("{{action: DENY, {wrong}{more}}}");
    let shop = "namespace: shop";
    let selected = ", selector: {matchLabels: {app: web}}";
    // What is wrong; whether the workloads `web` and `api` of the namespace, and one of another, have a policy then.
    let cases = [
        ("a namespace", policy, shop, deny(""), [true, true, false]),
        (
            "an ALLOW",
            policy,
            shop,
            format!("{{{wrong}}}"),
            [true, true, false],
        ),
        (
            "a selector",
            policy,
            shop,
            deny(selected),
            [true, false, false],
        ),
        (
            "a field that nobody knows",
            policy,
            shop,
            deny(", selecter: {matchLabels: {app: web}}"),
            [true, true, false],
        ),
        (
            "a selector that is none",
            policy,
            shop,
            deny(", selector: web"),
            [true, true, false],
        ),
        (
            "the mesh",
            policy,
            "namespace: istio-system",
            deny(""),
            [true, true, true],
        ),
        (
            "targets",
            policy,
            shop,
            deny(", targetRefs: [{kind: Service, group: '', name: web}]"),
            [false, false, false],
        ),
        (
            "records",
            policy,
            shop,
            format!("{{action: AUDIT, {wrong}}}"),
            [false, false, false],
        ),
        (
            "a trial",
            policy,
            "namespace: shop, annotations: {istio.io/dry-run: 'true'}",
            deny(""),
            [false, false, false],
        ),
        (
            "peers",
            peer,
            shop,
            "{mtls: {mode: STRIKT}, selector: {matchLabels: {app: web}}}".to_owned(),
            [true, false, false],
        ),
        (
            "peers of a namespace",
            peer,
            shop,
            "{mtls: {mode: STRIKT}}".to_owned(),
            [true, true, false],
        ),
        (
            "tokens",
            "RequestAuthentication",
            shop,
            "{jwtRules: [{}]}".to_owned(),
            [false, false, false],
        ),
    ];
    let pod = |name: &str, namespace: &str, last: u8| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}\n\
             status: {{podIP: 10.0.0.{last}}}\n---\n"
        )
    };
    let pods = [("web", "shop", 1), ("api", "shop", 2), ("far", "other", 3)];
    let written: String = pods
        .iter()
        .map(|(name, of, last)| pod(name, of, *last))
        .collect();
    for (case, kind, metadata, spec, expected) in cases {
        let directory = Directory::new("never-right");
        directory.write("a.yaml", &written);
        let (mut source, store, policies) = with_policies(&directory.0);
        source.first_look().unwrap();
        directory.replace("b.yaml", &object(kind, metadata, &spec));
        // A new file may be in the middle of being written.
        let first = source.look();
        let report = first.or_else(|| source.look()).unwrap();
        assert_eq!(report.rejected.len(), 1, "{case}");
        let denied = || {
            let (mesh, index) = (store.snapshot(), policies.index());
            pods.map(|(name, namespace, _)| {
                let workload = mesh.workload(&format!("Kubernetes//Pod/{namespace}/{name}"));
                // A peer without identity: what denies all denies it as well.
                let to = "10.0.0.9:80".parse().unwrap();
                let connection = Connection::new([10, 9, 9, 9].into(), None, to);
                let decision = index.decide(workload.unwrap(), &connection);
                !matches!(decision.verdict, Verdict::Allow(_))
            })
        };
        assert_eq!(denied(), expected, "{case}");
        let told = report
            .notes
            .iter()
            .any(|note| note.text.starts_with("until this is right"));
        let replaced = !["records", "a trial", "tokens"].contains(&case);
        assert_eq!(told, replaced, "{case}: {:?}", report.notes);
        directory.replace("b.yaml", "");
        let first = source.look();
        first.or_else(|| source.look()).unwrap();
        assert_eq!(denied(), [false; 3], "{case}: it goes when the object goes");
    }
}

#[test]
fn as_istio_does_it_a_policy_that_was_never_right_is_left_out() {
    let broken = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n\
                  spec: {action: DENY, rules: [{from: [{source: {ipBlocks: [x]}}]}]}\n";
    for (profile, there) in [(Profile::Strict, 1), (Profile::Compat, 0)] {
        let mut settings = Settings::default();
        settings.profile = profile;
        let mut catalog = Catalog::with_settings(settings);
        catalog.set_file("p.yaml", broken);
        catalog.settle();
        assert!(catalog.statuses()[0].rejection().is_some());
        assert_eq!(
            catalog.inventory().authorization_policies.len(),
            there,
            "{profile:?}"
        );
    }
}

/// authz.md 1.9.6: what a policy about requests is at a node proxy is said.
#[test]
fn what_a_node_proxy_cannot_know_is_noted() {
    let directory = Directory::new("notes");
    directory.write(
        "p.yaml",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n\
         spec: {action: DENY, rules: [{to: [{operation: {methods: [POST]}}]}]}\n",
    );
    let (mut source, _, policies) = with_policies(&directory.0);
    let report = source.first_look().unwrap();
    assert!(
        texts(&report.notes)
            .iter()
            .any(|note| note.contains("methods")),
        "{:?}",
        report.notes
    );
    assert!(
        policies.index().policy("default/p").is_some(),
        "it denies what it cannot tell apart"
    );
}

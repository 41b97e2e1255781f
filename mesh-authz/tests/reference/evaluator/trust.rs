//! Trust domains and their aliases (section 1.12, Istio's `trustdomain/bundle.go`).

use super::Mesh;

/// What a value of `principals` stands for: itself, or one value for each trust domain of the mesh.
pub(crate) fn principals(mesh: &Mesh, value: &str) -> Vec<String> {
    let parts: Vec<&str> = value.split('/').collect();
    let [domain, rest @ ..] = parts.as_slice() else {
        return vec![value.to_owned()];
    };
    let bundle = &mesh.trust_domains;
    let ours = bundle.iter().any(|member| {
        *domain == member || *domain == "*" || wild(member, domain) || wild(domain, member)
    });
    if parts.len() != 5 || *domain == "*" || !(ours || *domain == "cluster.local") {
        return vec![value.to_owned()];
    }
    let mut values = Vec::new();
    for member in bundle {
        let kept = domain
            .strip_prefix('*')
            .is_some_and(|end| member.ends_with(end));
        let one = if kept {
            value.to_owned()
        } else {
            format!("{member}/{}", rest.join("/"))
        };
        if !values.contains(&one) {
            values.push(one);
        }
    }
    values
}

/// What a value of `trustDomains` stands for: only an exact member of the bundle is more than itself.
pub(crate) fn domains(mesh: &Mesh, value: &str) -> Vec<String> {
    if mesh.trust_domains.iter().any(|member| member == value) {
        mesh.trust_domains.clone()
    } else {
        vec![value.to_owned()]
    }
}

fn wild(text: &str, pattern: &str) -> bool {
    let suffix = pattern
        .strip_prefix('*')
        .is_some_and(|end| text.ends_with(end));
    suffix
        || pattern
            .strip_suffix('*')
            .is_some_and(|start| text.starts_with(start))
}

use mesh_xds::manifest::Catalog;

use super::*;

fn inventory(annotations: &str) -> Inventory {
    let mut catalog = Catalog::new();
    let text = format!(
        "apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: {{{annotations}}}
spec: {{clusterIP: 10.1.0.1, ports: [{{port: 80}}, {{name: more, port: 81}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: db
  namespace: shop
  annotations: {{{annotations}}}
spec:
  hosts: [Db.example.org, web.shop.svc.cluster.local]
  addresses: [10.2.0.1]
  ports: [{{number: 5432, name: http, protocol: HTTP}}]
  resolution: STATIC
  endpoints: [{{address: 192.0.2.1}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: wp
  namespace: shop
  annotations: {{{annotations}}}
spec: {{gatewayClassName: istio-waypoint, listeners: [{{name: mesh, port: 15008, protocol: HBONE}}]}}
"
    );
    catalog.set_file("web.yaml", &text);
    catalog.settle();
    catalog.inventory()
}

fn next(before: &Annotated, annotations: &str) -> (Annotated, Vec<Problem>) {
    let own = WorkloadInfo {
        namespace: "shop".into(),
        name: "wp-1".into(),
        service_account: "wp".into(),
    };
    before.next(&inventory(annotations), "cluster.local", (&own, Some("wp")))
}

fn rules(values: &Values) -> Vec<String> {
    let limits = values.limits.iter().flatten();
    limits.map(|limit| limit.name.to_string()).collect()
}

#[test]
fn services_entries_and_the_gateway_have_annotations_and_wrong_ones_keep_the_last_value() {
    let good =
        r#"ratelimit.waypoint/requests: "5/1s; 1/1s per path", outlier.waypoint/small-fleet: one"#;
    let (first, problems) = next(&Annotated::default(), good);
    assert_eq!(problems, []);
    let found: Vec<_> = first
        .services()
        .map(|(_, host, service)| (host.as_str(), &*service.ports))
        .collect();
    let expected: [(&str, &[u16]); 2] = [
        ("db.example.org", &[5432]),
        ("web.shop.svc.cluster.local", &[80, 81]),
    ];
    assert_eq!(found, expected);

    let wrong = r#"ratelimit.waypoint/requests: "5/1s; many", outlier.waypoint/small-fleet: never,
        balancing.waypoint/algorithm: fast, retry.waypoint/hedge-after: 2h, ratelimit.waypoint/headers: some"#;
    let (second, problems) = next(&first, wrong);
    let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 12, "four of each object: {texts:#?}");
    for (text, words) in texts.iter().zip([
        "metadata.annotations.ratelimit.waypoint/requests: `5/1s; many`, expected a rate such as 100/1s, in rule 2",
        "metadata.annotations.ratelimit.waypoint/headers: `some`, expected draft-03 or none",
        "metadata.annotations.balancing.waypoint/algorithm: `fast`, expected peak-ewma",
        "metadata.annotations.retry.waypoint/hedge-after: `2h`, expected a time of 1ms to 1h",
    ]) {
        assert!(text.starts_with("web.yaml:") && text.ends_with(words), "{text}");
    }
    let all = second.services().map(|(.., service)| &service.values);
    for values in all.chain([second.gateway()]) {
        assert_eq!(rules(values), ["5/1s", "1/1s per path"]);
        assert_eq!(values.small_fleet, Some(SmallFleet::Never));
        assert_eq!((values.algorithm, values.standings), (None, None));
    }
    let (none, problems) = next(&second, "");
    assert_eq!(problems, []);
    assert_eq!(none.services().count(), 0);
    assert_eq!(*none.gateway(), Values::default());
}

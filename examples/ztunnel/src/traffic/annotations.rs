//! Annotations of services, for what destination rules have no field for.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use mesh_core::lb::SmallFleet;
use mesh_core::limits::BucketSettings;
use mesh_core::model::NamespacedHostname;
use mesh_hbone::proxy::{ServiceSettings, TrafficSettings};
use mesh_xds::manifest::annotations::{Expected, rate, small_fleet, value};
use mesh_xds::manifest::{Document, Inventory, Problem};

use super::destinations::Settings;

/// New connections that a service takes in a time from each process, such as `100/1s`.
const RATE: &str = "ratelimit.ztunnel/connections";
/// Endpoints that are tried for one connection, 1 to 10.
const ATTEMPTS: &str = "retry.ztunnel/attempts";
/// `one`: one endpoint may be taken out however few there are; `never`: only as many as `maxEjectionPercent` says.
const SMALL_FLEET: &str = "outlier.ztunnel/small-fleet";

const MOST_ATTEMPTS: u8 = 10;

/// The annotations of services that are in force, by namespace and host name.
#[derive(Debug, Default)]
pub(super) struct Annotated(BTreeMap<(String, String), Values>);

/// The annotations of one service.
#[derive(Clone, Debug, Default, PartialEq)]
struct Values {
    rate: Option<BucketSettings>,
    attempts: Option<NonZeroU8>,
    small_fleet: Option<SmallFleet>,
}

impl Annotated {
    /// The annotations of an inventory, with the values of this one where they are wrong, and what is wrong.
    pub(super) fn next(&self, inventory: &Inventory, domain: &str) -> (Self, Vec<Problem>) {
        let mut next = Self::default();
        let mut problems = Vec::new();
        for service in inventory.services.iter() {
            let (namespace, name) = (service.namespace(), service.name());
            let host = format!("{name}.{namespace}.svc.{domain}");
            self.read(&mut next, &service.document, host, &mut problems);
        }
        for entry in inventory.service_entries.iter() {
            for host in &entry.spec.hosts {
                let host = host.to_ascii_lowercase();
                self.read(&mut next, &entry.document, host, &mut problems);
            }
        }
        (next, problems)
    }

    fn read(
        &self,
        next: &mut Self,
        document: &Document,
        host: String,
        problems: &mut Vec<Problem>,
    ) {
        let key = (document.namespace().to_string(), host);
        let before = self.0.get(&key).cloned().unwrap_or_default();
        let values = Values {
            rate: value(document, RATE, rate, before.rate, problems),
            attempts: value(document, ATTEMPTS, attempts, before.attempts, problems),
            small_fleet: value(
                document,
                SMALL_FLEET,
                small_fleet,
                before.small_fleet,
                problems,
            ),
        };
        if values != Values::default() {
            next.0.insert(key, values);
        }
    }

    /// Adds them to what destination rules say.
    pub(super) fn apply(&self, settings: &mut Settings) {
        for (key, values) in &self.0 {
            let (namespace, hostname) = (key.0.as_str(), key.1.as_str());
            let service = || ServiceSettings::new(NamespacedHostname::new(namespace, hostname));
            let of_service = settings.entry(key.clone()).or_insert_with(service);
            of_service.connection_rate = values.rate;
            values.apply(&mut of_service.settings);
            let ports = of_service.ports.values_mut();
            ports.for_each(|settings| values.apply(settings));
        }
    }
}

impl Values {
    fn apply(&self, settings: &mut TrafficSettings) {
        settings.attempts = self.attempts.unwrap_or(settings.attempts);
        if let (Some(outlier), Some(fleet)) = (&mut settings.balancing.outlier, self.small_fleet) {
            outlier.small_fleet = fleet;
        }
    }
}

fn attempts(text: &str) -> Result<NonZeroU8, Expected> {
    let number = text.parse().ok();
    let number = number.filter(|number: &NonZeroU8| number.get() <= MOST_ATTEMPTS);
    number.ok_or_else(|| Expected::new(format!("a number of 1 to {MOST_ATTEMPTS}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_core::lb::OutlierDetection;
    use mesh_xds::manifest::Catalog;

    fn inventory(annotations: &str) -> Inventory {
        let mut catalog = Catalog::new();
        let text = format!(
            "apiVersion: v1
kind: Service
metadata:
  name: web
  namespace: shop
  annotations: {{{annotations}}}
spec: {{clusterIP: 10.1.0.1, ports: [{{port: 80}}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: db
  namespace: shop
  annotations: {{{annotations}}}
spec:
  hosts: [Db.example.org, db2.example.org]
  addresses: [10.2.0.1]
  ports: [{{number: 5432, name: tcp, protocol: TCP}}]
  resolution: STATIC
  endpoints: [{{address: 192.0.2.1}}]
"
        );
        catalog.set_file("web.yaml", &text);
        catalog.settle();
        catalog.inventory()
    }

    #[test]
    fn services_and_entries_have_annotations_and_wrong_ones_keep_the_last_value() {
        let good = r#"ratelimit.ztunnel/connections: "5/1s", retry.ztunnel/attempts: "2""#;
        let (first, problems) = Annotated::default().next(&inventory(good), "cluster.local");
        assert_eq!(problems, []);
        let hosts: Vec<_> = first.0.keys().map(|(_, host)| host.as_str()).collect();
        let expected = [
            "db.example.org",
            "db2.example.org",
            "web.shop.svc.cluster.local",
        ];
        assert_eq!(hosts, expected);

        let wrong = r#"ratelimit.ztunnel/connections: "many", retry.ztunnel/attempts: "3""#;
        let (second, problems) = first.next(&inventory(wrong), "cluster.local");
        assert_eq!(problems.len(), 2, "{problems:?}");
        let text = problems[0].to_string();
        assert!(text.contains("web.yaml:6"), "{text}");
        assert!(
            text.contains("`many`, expected a number and a time such as 100/1s"),
            "{text}"
        );
        for values in second.0.values() {
            let rate = BucketSettings::new(5, 5, std::time::Duration::from_secs(1));
            assert_eq!(values.rate, rate.ok());
            assert_eq!(values.attempts, NonZeroU8::new(3));
        }
        let (none, problems) = second.next(&inventory(""), "cluster.local");
        assert_eq!(problems, []);
        assert!(none.0.is_empty());
    }

    #[test]
    fn all_ports_have_what_annotations_say() {
        let text = r#"retry.ztunnel/attempts: "7", outlier.ztunnel/small-fleet: one"#;
        let (annotated, _) = Annotated::default().next(&inventory(text), "cluster.local");
        let key = ("shop".to_owned(), "web.shop.svc.cluster.local".to_owned());
        let mut rule = ServiceSettings::new(NamespacedHostname::new("shop", key.1.as_str()));
        let mut of_port = TrafficSettings::default();
        of_port.balancing.outlier = Some(OutlierDetection::default());
        rule.ports.insert(80, of_port);
        let mut settings = Settings::from([(key.clone(), rule)]);
        annotated.apply(&mut settings);
        let web = &settings[&key];
        let attempts = [80, 81].map(|port| web.port(port).attempts.get());
        assert_eq!(attempts, [7, 7]);
        let outlier = web.port(80).balancing.outlier.as_ref().unwrap();
        assert_eq!(outlier.small_fleet, SmallFleet::One);
        assert_eq!(
            web.port(81).balancing.outlier,
            None,
            "there is none to change"
        );
        assert_eq!(settings.len(), 3);
    }

    #[test]
    fn attempts_are_1_to_10() {
        assert!(attempts("1").is_ok() && attempts("10").is_ok());
        for text in ["0", "11", "", "-1", "x"] {
            assert!(attempts(text).is_err(), "{text}");
        }
    }
}

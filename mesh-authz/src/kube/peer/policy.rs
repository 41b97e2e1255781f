//! What a `PeerAuthentication` says, checked.

use std::collections::BTreeMap;

use super::{Mtls, MtlsMode, PeerAuthentication};
use crate::kube::caution::Caution;
use crate::kube::fault::Fault;
use crate::kube::finding::{Finding, Findings, Invalid};
use crate::kube::meta::Labels;
use crate::kube::path::Path;
use crate::kube::provenance::Provenance;
use crate::kube::selector;
use crate::kube::settings::Settings;
use crate::kube::timestamp::Timestamp;

/// A `PeerAuthentication` that has been checked.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PeerPolicy {
    /// Which object it is.
    pub provenance: Provenance,
    /// When it was created; one without is older than all others.
    pub created: Option<Timestamp>,
    /// The workloads that it applies to; empty for all of its namespace, or of the mesh when that
    /// is the root namespace.
    pub labels: Labels,
    /// What it says about all ports.
    pub mode: MtlsMode,
    /// What it says about single ports.
    pub ports: BTreeMap<u16, MtlsMode>,
    /// What is questionable about it.
    pub cautions: Vec<Finding<Caution>>,
}

impl PeerAuthentication {
    /// Checks everything.
    ///
    /// # Errors
    /// [`Invalid`] with all faults: port 0 or above 65535, ports without a selector, an empty map
    /// of ports, and what a selector may not have.
    pub fn convert(
        &self,
        settings: &Settings,
        provenance: Provenance,
    ) -> Result<PeerPolicy, Invalid> {
        let mut found = Findings::default();
        found.object_type(&self.api_version, &self.kind, "PeerAuthentication");
        found.key(&provenance);
        let spec = &self.spec;
        let selector = spec.selector.as_ref();
        let labels = selector.map_or_else(Labels::new, |each| selector::labels(each, &mut found));
        let root = Path::root("spec");
        if !labels.is_empty() && provenance.namespace == settings.root_namespace {
            found.caution(&root.field("selector"), Caution::SelectorInRoot);
        }
        let mode = spec.mtls.unwrap_or_default().mode;
        if mode == MtlsMode::Disable {
            found.caution(&root.field("mtls"), Caution::Disable);
        }
        let ports = read_ports(spec.port_level_mtls.as_ref(), labels.is_empty(), &mut found);
        Ok(PeerPolicy {
            created: self.metadata.creation_timestamp,
            labels,
            mode,
            ports,
            cautions: found.close(&provenance)?,
            provenance,
        })
    }
}

fn read_ports(
    from: Option<&BTreeMap<u32, Mtls>>,
    of_all: bool,
    found: &mut Findings,
) -> BTreeMap<u16, MtlsMode> {
    let root = Path::root("spec");
    let at = root.field("portLevelMtls");
    let Some(from) = from else {
        return BTreeMap::new();
    };
    if from.is_empty() {
        found.fault(&at, Fault::EmptyList);
    } else if of_all {
        found.fault(&at, Fault::PortsWithoutSelector);
    }
    let mut ports = BTreeMap::new();
    for (port, mtls) in from {
        let text = port.to_string();
        let at = at.key(&text);
        match u16::try_from(*port).ok().filter(|port| *port > 0) {
            Some(port) => {
                ports.insert(port, mtls.mode);
            }
            None => found.fault(&at, Fault::WorkloadPort { port: *port }),
        }
        if mtls.mode == MtlsMode::Disable {
            found.caution(&at, Caution::Disable);
        }
    }
    ports
}

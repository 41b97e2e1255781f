//! What the entries of a local file mean together: unique keys, identities, endpoints.

use std::collections::BTreeMap;

use mesh_authz::spec::PolicySpec;
use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::model::{NamespacedHostname, PortMap, ServiceSpec, WorkloadSpec, WorkloadStatus};
use mesh_core::name::Name;
use serde_saphyr::{Location, Spanned};

use super::config::LocalConfig;
use super::error::LocalError;
use super::policy::{self, Policy};
use super::{file, model, value};
use crate::place::Place;

/// A workload of the file under construction, and where it stands.
struct Draft {
    spec: WorkloadSpec,
    location: Location,
}

pub(super) struct Builder<'a> {
    file_name: &'a str,
    drafts: Vec<Draft>,
    by_uid: BTreeMap<String, usize>,
    services: BTreeMap<NamespacedHostname, (u64, ServiceSpec)>,
    policies: Vec<PolicySpec>,
    policy_lines: BTreeMap<Name, u64>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(file_name: &'a str) -> Self {
        Self {
            file_name,
            drafts: Vec::new(),
            by_uid: BTreeMap::new(),
            services: BTreeMap::new(),
            policies: Vec::new(),
            policy_lines: BTreeMap::new(),
        }
    }

    pub(super) fn build(mut self, file: file::File) -> Result<LocalConfig, LocalError> {
        for (index, workload) in file.workloads.into_iter().enumerate() {
            self.workload(index, workload)?;
        }
        for (index, service) in file.services.into_iter().enumerate() {
            self.service(index, service)?;
        }
        for (index, policy) in file.policies.into_iter().enumerate() {
            self.policy(index, policy)?;
        }
        Ok(LocalConfig {
            policies: self.policies,
            workloads: self.drafts.into_iter().map(|draft| draft.spec).collect(),
            services: self.services.into_values().map(|(_, spec)| spec).collect(),
        })
    }

    fn workload(
        &mut self,
        index: usize,
        workload: Spanned<file::Workload>,
    ) -> Result<(), LocalError> {
        let location = workload.referenced;
        let at = |field: &str| format!("workloads[{index}].{field}");
        let workload = workload.value;
        if !workload.hostname.is_empty() && !value::is_hostname(&workload.hostname) {
            let problem = format!("expected a host name, got `{}`", workload.hostname);
            return Err(self.invalid(&location, at("hostname"), problem));
        }
        let spec = model::workload(workload)
            .map_err(|(field, problem)| self.invalid(&location, at(field), problem))?;
        self.check_identity(&spec, &location, &at)?;
        if let Some(first) = self.by_uid.insert(spec.uid.to_string(), self.drafts.len()) {
            return Err(LocalError::Duplicate {
                place: self.place(&location, at("uid")),
                key: spec.uid.to_string(),
                first_line: self.drafts.get(first).map_or(0, |d| d.location.line()),
            });
        }
        self.drafts.push(Draft { spec, location });
        Ok(())
    }

    fn policy(&mut self, index: usize, policy: Spanned<Policy>) -> Result<(), LocalError> {
        let location = policy.referenced;
        let at = |field: &str| format!("policies[{index}].{field}");
        let spec = PolicySpec::from(policy.value);
        policy::check(&spec)
            .map_err(|(field, problem)| self.invalid(&location, at(&field), problem))?;
        let key = spec.key();
        if let Some(first_line) = self.policy_lines.insert(key.clone(), location.line()) {
            return Err(LocalError::Duplicate {
                place: self.place(&location, at("name")),
                key: key.to_string(),
                first_line,
            });
        }
        self.policies.push(spec);
        Ok(())
    }

    fn check_identity(
        &self,
        spec: &WorkloadSpec,
        location: &Location,
        at: &impl Fn(&str) -> String,
    ) -> Result<(), LocalError> {
        let domain: Result<TrustDomain, _> = spec.trust_domain.parse();
        let checked = domain
            .map_err(|error| ("trustDomain", error))
            .and_then(|domain| {
                SpiffeId::new(domain.clone(), &spec.namespace, "default")
                    .map_err(|error| ("namespace", error))?;
                SpiffeId::new(domain, &spec.namespace, &spec.service_account)
                    .map_err(|error| ("serviceAccount", error))
            });
        checked.map(|_| ()).map_err(|(field, error)| {
            let problem = format!("the workload would have no usable identity: {error}");
            self.invalid(location, at(field), problem)
        })
    }

    fn service(&mut self, index: usize, service: Spanned<file::Service>) -> Result<(), LocalError> {
        let location = service.referenced;
        let at = |field: &str| format!("services[{index}].{field}");
        let mut service = service.value;
        if !value::is_hostname(&service.hostname) {
            let problem = format!("expected a host name, got `{}`", service.hostname);
            return Err(self.invalid(&location, at("hostname"), problem));
        }
        let endpoints = std::mem::take(&mut service.endpoints);
        let spec = model::service(service);
        let key = NamespacedHostname::new(spec.namespace.clone(), spec.hostname.clone());
        for (uid, endpoint) in endpoints {
            let field = at(&format!("endpoints.{uid}"));
            self.endpoint(&key, &uid, endpoint, field)?;
        }
        if let Some((first_line, _)) = self.services.get(&key) {
            return Err(LocalError::Duplicate {
                place: self.place(&location, at("hostname")),
                key: key.to_string(),
                first_line: *first_line,
            });
        }
        self.services.insert(key, (location.line(), spec));
        Ok(())
    }

    /// Writes an endpoint of a service into its workload, where the model keeps it.
    fn endpoint(
        &mut self,
        service: &NamespacedHostname,
        uid: &str,
        endpoint: Spanned<file::Endpoint>,
        field: String,
    ) -> Result<(), LocalError> {
        let location = endpoint.referenced;
        let endpoint = endpoint.value;
        let ports = model::ports(&endpoint.port);
        let status = endpoint.status.map(WorkloadStatus::from);
        let found = self.by_uid.get(uid).copied();
        let problem = if endpoint.workload_uid != uid {
            format!(
                "expected workloadUid `{uid}` like the key, got `{}`",
                endpoint.workload_uid
            )
        } else if let Some(draft) = found.and_then(|at| self.drafts.get_mut(at)) {
            match attach(&mut draft.spec, service, ports, status) {
                Ok(()) => return Ok(()),
                Err(problem) => problem,
            }
        } else {
            format!("expected the uid of a workload of this file, got `{uid}`")
        };
        Err(self.invalid(&location, field, problem))
    }

    fn place(&self, location: &Location, field: String) -> Place {
        Place::at(self.file_name, location.line(), location.column(), field)
    }

    fn invalid(&self, location: &Location, field: String, problem: String) -> LocalError {
        LocalError::Invalid {
            place: self.place(location, field),
            problem,
        }
    }
}

fn attach(
    workload: &mut WorkloadSpec,
    service: &NamespacedHostname,
    ports: PortMap,
    status: Option<WorkloadStatus>,
) -> Result<(), String> {
    if status.is_some_and(|status| status != workload.status) {
        return Err(format!(
            "expected the status of the workload, {:?}",
            workload.status
        ));
    }
    match workload.services.iter().find(|(key, _)| key == service) {
        None => workload.services.push((service.clone(), ports)),
        Some((_, same)) if *same == ports => {}
        Some(_) => return Err("expected the ports that the workload gives".to_owned()),
    }
    Ok(())
}

//! From the text of a local file to the model.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_core::identity::{SpiffeId, TrustDomain};
use mesh_core::model::{NamespacedHostname, PortMap, ServiceSpec, WorkloadSpec, WorkloadStatus};
use serde::Deserialize;
use serde_path_to_error::{Segment, Track};
use serde_saphyr::{Budget, Location, Options, Spanned};

use super::error::{LocalError, Place};
use super::file;
use super::{LocalConfig, MAX_BYTES, model};

/// Reads the text of a local file; `file_name` is what errors call it.
///
/// Whatever is wrong with any entry refuses the whole text: there is no partial result.
///
/// # Errors
/// [`LocalError`] with line, column, field and what was expected. [`LocalError::Policies`] when
/// the text has authorization policies or references to them.
///
/// # Example
/// ```
/// let config = mesh_xds::local::parse(
///     "workloads:\n- name: web\n  namespace: default\n  workloadIps: [10.0.0.2]\n  services: {}\n",
///     "mesh.yaml",
/// )?;
/// assert_eq!(config.workloads[0].uid, "Kubernetes//Pod/default/web");
///
/// let error = mesh_xds::local::parse("workloads: 7\n", "mesh.yaml").unwrap_err();
/// assert!(error.to_string().starts_with("mesh.yaml:1:12: workloads: expected"));
/// # Ok::<(), mesh_xds::local::LocalError>(())
/// ```
pub fn parse(text: &str, file_name: &str) -> Result<LocalConfig, LocalError> {
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    if bytes > MAX_BYTES {
        let file = file_name.to_owned();
        return Err(LocalError::TooLong { file, bytes });
    }
    let file = deserialize(text, file_name)?;
    Builder::new(file_name).build(file)
}

fn deserialize(text: &str, file_name: &str) -> Result<file::File, LocalError> {
    let mut track = Track::new();
    let parsed = serde_saphyr::with_deserializer_from_str_with_options(text, options(), |de| {
        Option::<file::File>::deserialize(serde_path_to_error::Deserializer::new(de, &mut track))
    });
    match parsed {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(LocalError::Empty {
            file: file_name.to_owned(),
        }),
        Err(error) => {
            let location = error.location().unwrap_or(Location::UNKNOWN);
            let field = field_of(&track.path());
            let text = error.without_snippet().to_string();
            let suffix = format!(" at line {}, column {}", location.line(), location.column());
            let problem = text.strip_suffix(&suffix).unwrap_or(&text).to_owned();
            let place = place(file_name, &location, field);
            Err(LocalError::Invalid { place, problem })
        }
    }
}

/// Room for a file of [`MAX_BYTES`]; nesting stays small and aliases stay within the defaults.
fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_events = 16_000_000;
    budget.max_nodes = 8_000_000;
    budget.max_documents = 1;
    let mut options = Options::default();
    options.with_snippet = false;
    options.budget = Some(budget);
    options
}

/// `workloads[0].services`; without the steps that only record line and column.
fn field_of(path: &serde_path_to_error::Path) -> String {
    let mut field = String::new();
    for segment in path {
        let _ = match segment {
            Segment::Seq { index } => write!(field, "[{index}]"),
            Segment::Map { key } if key == "value" => Ok(()),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                write!(field, "{}{key}", if field.is_empty() { "" } else { "." })
            }
            Segment::Unknown => Ok(()),
        };
    }
    field
}

fn place(file: &str, location: &Location, field: String) -> Place {
    Place {
        file: file.to_owned(),
        line: location.line(),
        column: location.column(),
        field,
    }
}

/// A workload of the file under construction, and where it stands.
struct Draft {
    spec: WorkloadSpec,
    location: Location,
}

struct Builder<'a> {
    file_name: &'a str,
    drafts: Vec<Draft>,
    by_uid: BTreeMap<String, usize>,
    services: BTreeMap<NamespacedHostname, (u64, ServiceSpec)>,
}

impl<'a> Builder<'a> {
    fn new(file_name: &'a str) -> Self {
        Self {
            file_name,
            drafts: Vec::new(),
            by_uid: BTreeMap::new(),
            services: BTreeMap::new(),
        }
    }

    fn build(mut self, file: file::File) -> Result<LocalConfig, LocalError> {
        if let Some(policies) = file.policies.filter(|list| !list.value.is_empty()) {
            let place = self.place(&policies.referenced, "policies".to_owned());
            return Err(LocalError::Policies { place });
        }
        for (index, workload) in file.workloads.into_iter().enumerate() {
            self.workload(index, workload)?;
        }
        for (index, service) in file.services.into_iter().enumerate() {
            self.service(index, service)?;
        }
        Ok(LocalConfig {
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
        if let Some(list) = workload.authorization_policies.as_ref()
            && !list.value.is_empty()
        {
            let place = self.place(&list.referenced, at("authorizationPolicies"));
            return Err(LocalError::Policies { place });
        }
        if !workload.hostname.is_empty() && !super::value::is_hostname(&workload.hostname) {
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
        if !super::value::is_hostname(&service.hostname) {
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
        place(self.file_name, location, field)
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

//! The Kubernetes manifests against Kubernetes' own schemas and types, and what they configure against this program.

use crate::harness::folder;
use k8s_openapi::{
    api::{
        apps::v1::{DaemonSet, Deployment},
        core::v1::{ConfigMap, Namespace, PodSpec, Service},
        policy::v1::PodDisruptionBudget,
    },
    serde::{Serialize, de::DeserializeOwned},
};
use schemars::JsonSchema;
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

/// A document of a manifest.
struct Document {
    place: String,
    value: Value,
}

fn documents() -> Vec<Document> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kubernetes");
    let mut documents = Vec::new();
    for item in fs::read_dir(&folder).unwrap() {
        let path = item.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for (number, part) in text.split("\n---\n").enumerate() {
            let place = format!("{} document {}", path.display(), number + 1);
            let value = serde_saphyr::from_str(part).unwrap_or_else(|error| panic!("{place}: {error}"));
            documents.push(Document { place, value });
        }
    }
    assert!(documents.len() >= 7, "{}", documents.len());
    documents
}

/// Reads a document as what it says it is. Its schema finds what is missing or of another type, which the type would put
/// something in the place of; what the type doesn't know is lost in it, and found by holding the document against that.
fn read<T: DeserializeOwned + Serialize + JsonSchema>(document: &Document) -> T {
    let Document { place, value } = document;
    let schema = jsonschema::draft202012::new(schemars::schema_for!(T).as_value()).unwrap();
    let wrong: Vec<String> =
        schema.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{place}: {}", wrong.join("; "));
    let read: T = serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{place}: {error}"));
    let kept = serde_json::to_value(&read).unwrap();
    assert_same(place, value, &kept);
    read
}

fn assert_same(place: &str, written: &Value, kept: &Value) {
    match (written, kept) {
        (Value::Object(written), Value::Object(kept)) => {
            for (key, value) in written {
                let place = format!("{place}.{key}");
                assert_same(&place, value, kept.get(key).unwrap_or_else(|| panic!("{place}: no such field")));
            }
        }
        (Value::Array(written), Value::Array(kept)) => {
            assert_eq!(written.len(), kept.len(), "{place}");
            for (index, (written, kept)) in written.iter().zip(kept).enumerate() {
                assert_same(&format!("{place}[{index}]"), written, kept);
            }
        }
        _ => assert_eq!(written, kept, "{place}"),
    }
}

/// Of all documents of a kind.
fn all<T: DeserializeOwned + Serialize + JsonSchema>(documents: &[Document], kind: &str) -> Vec<T> {
    documents.iter().filter(|document| document.value["kind"] == kind).map(read).collect()
}

#[test]
fn manifests_say_what_kubernetes_knows() {
    let documents = documents();
    for document in &documents {
        match document.value["kind"].as_str().unwrap_or_default() {
            "Namespace" => drop(read::<Namespace>(document)),
            "ConfigMap" => drop(read::<ConfigMap>(document)),
            "Deployment" => drop(read::<Deployment>(document)),
            "DaemonSet" => drop(read::<DaemonSet>(document)),
            "Service" => drop(read::<Service>(document)),
            "PodDisruptionBudget" => drop(read::<PodDisruptionBudget>(document)),
            other => panic!("{}: no type for {other}", document.place),
        }
        assert!(document.value["apiVersion"].is_string(), "{}", document.place);
    }
}

/// What `read` has against a Service.
fn objection(value: Value) -> String {
    let document = Document { place: "here".to_owned(), value };
    let panic = std::panic::catch_unwind(|| read::<Service>(&document)).expect_err("it was taken");
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn what_kubernetes_would_not_take_is_found() {
    let service = |spec| json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "a" }, "spec": spec });
    read::<Service>(&Document { place: "here".to_owned(), value: service(json!({ "ports": [{ "port": 53 }] })) });
    for (spec, expected) in [
        (json!({ "externalTrafficPolice": "Local" }), "here.spec.externalTrafficPolice: no such field"),
        (json!({ "ports": [{ "protocol": "UDP" }] }), "/spec/ports/0: \"port\" is a required property"),
        (json!({ "ports": [{ "port": "53" }] }), "/spec/ports/0/port: \"53\" is not of type \"integer\""),
    ] {
        let said = objection(service(spec));
        assert!(said.contains(expected), "no {expected:?} in {said}");
    }
}

/// Every pod template with the labels it is chosen by.
fn pods(documents: &[Document]) -> Vec<PodSpec> {
    let mut pods = Vec::new();
    for deployment in all::<Deployment>(documents, "Deployment") {
        let spec = deployment.spec.unwrap();
        assert_eq!(spec.selector.match_labels, spec.template.metadata.unwrap().labels);
        pods.extend(spec.template.spec);
    }
    for set in all::<DaemonSet>(documents, "DaemonSet") {
        let spec = set.spec.unwrap();
        assert_eq!(spec.selector.match_labels, spec.template.metadata.unwrap().labels);
        pods.extend(spec.template.spec);
    }
    pods
}

#[test]
fn pods_have_no_more_than_they_need_and_are_looked_after() {
    let documents = documents();
    let maps = all::<ConfigMap>(&documents, "ConfigMap");
    let pods = pods(&documents);
    assert_eq!(pods.len(), 2);
    for pod in pods {
        let all = pod.security_context.unwrap();
        assert_eq!((all.run_as_non_root, all.run_as_user), (Some(true), Some(65532)));
        let volumes = pod.volumes.unwrap_or_default();
        for volume in &volumes {
            if let Some(map) = &volume.config_map {
                assert!(maps.iter().any(|known| known.metadata.name.as_ref() == Some(&map.name)), "{}", map.name);
            }
        }
        let container = &pod.containers[0];
        let own = container.security_context.as_ref().unwrap();
        assert_eq!((own.read_only_root_filesystem, own.allow_privilege_escalation), (Some(true), Some(false)));
        let capabilities = own.capabilities.as_ref().unwrap();
        assert_eq!(capabilities.drop.as_deref(), Some(&["ALL".to_owned()][..]));
        assert_eq!(capabilities.add.as_deref(), Some(&["NET_BIND_SERVICE".to_owned()][..]));
        for mount in container.volume_mounts.as_deref().unwrap_or_default() {
            assert!(volumes.iter().any(|volume| volume.name == mount.name), "{}", mount.name);
            // A file mounted alone never changes.
            assert_eq!(mount.sub_path, None, "{}", mount.name);
        }
        let readiness = container.readiness_probe.as_ref().unwrap().http_get.as_ref().unwrap();
        assert_eq!(readiness.path.as_deref(), Some("/readyz"));
        // Nobody is started anew who leaves anyhow.
        for (probe, expected) in
            [(&container.startup_probe, &["health"][..]), (&container.liveness_probe, &["health", "--live"])]
        {
            let probe = probe.as_ref().unwrap();
            let command = probe.exec.as_ref().unwrap().command.as_ref().unwrap();
            assert_eq!(command[..3], ["/usr/bin/cleandns", "--config", "/config/cleandns.toml"]);
            assert_eq!(command[3..], *expected);
            // `health` has told what is wrong by then.
            assert_eq!(probe.timeout_seconds, Some(3));
        }
        assert!(container.lifecycle.as_ref().unwrap().pre_stop.as_ref().unwrap().sleep.is_some());
    }
}

#[test]
fn the_configuration_of_the_pods_is_one() {
    let maps = all::<ConfigMap>(&documents(), "ConfigMap");
    let data = |name: &str| {
        let map = maps.iter().find(|map| map.metadata.name.as_deref() == Some(name));
        map.and_then(|map| map.data.clone()).unwrap_or_else(|| panic!("no ConfigMap {name}"))
    };
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("lists")).unwrap();
    for (name, text) in data("cleandns-lists") {
        fs::write(path("lists").join(name), text).unwrap();
    }
    fs::write(path("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("blocklists");
    let mut text = data("cleandns")["cleandns.toml"].clone();
    for (there, here) in [
        ("/etc/cleandns/blocklists", shipped.display().to_string()),
        ("/etc/cleandns/lists", path("lists").display().to_string()),
        ("/run/secrets/cleandns/token", path("token").display().to_string()),
        ("/var/lib/cleandns", path("state").display().to_string()),
    ] {
        assert!(text.contains(there), "{there}");
        text = text.replace(there, &here);
    }
    fs::write(path("cleandns.toml"), text).unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_cleandns"))
        .args(["check", "--verbose", "--config"])
        .arg(path("cleandns.toml"))
        .output()
        .unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success(), "{said}{}", String::from_utf8_lossy(&check.stderr));
    for part in ["own/own: enforce, 1 rules", "clean-store/tiktok: enforce", "0 lists unusable"] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
}

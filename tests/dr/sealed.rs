//! What is encrypted is opened with the keys that the mirror's configuration names.

use serde_json::{Value, json};

use crate::pair::Pair;
use crate::run::Dr;

const KEYS: &str = "
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
- resources: [secrets]
  providers:
  - aescbc:
      keys:
      - {name: key1, secret: MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}
";

/// How bad what the preflight says of the keys is, and what it says beside.
async fn trial(dr: &Dr, args: &[&str]) -> (String, String) {
    let output = dr.output(&[&["preflight", "-o", "json"], args].concat()).await;
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let gates = report["gates"].as_array().unwrap();
    let gate = gates.iter().find(|gate| gate["name"] == "encryption-trial").unwrap();
    let severity = gate["severity"].as_str().unwrap().to_owned();
    (severity, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_keys_of_the_mirrors_configuration_are_tried() {
    let pair = Pair::start().await;
    pair.write_topology(true, "");
    let mut east = pair.east.etcd.client().await;
    // Sealed with another key of the same name.
    let sealed = [b"k8s:enc:aescbc:v1:key1:".as_slice(), &[7; 64]].concat();
    east.put("/registry/secrets/load/sealed", sealed, None).await.unwrap();
    let (keys, config) = (pair.path("keys.yaml"), pair.path("mirror.yaml"));
    std::fs::write(&config, json!({ "encryption_config": keys }).to_string()).unwrap();
    let dr = Dr::new(&pair);
    let given = ["--mirror-config", config.to_str().unwrap()];

    let (without, _) = trial(&dr, &[]).await;
    assert_eq!(without, "info", "nothing was tried");
    // They may lie in the cluster alone, where the mirror runs.
    let (away, told) = trial(&dr, &given).await;
    assert_eq!(away, without);
    assert!(told.contains("keys.yaml"), "{told}");
    std::fs::write(&keys, KEYS).unwrap();
    assert_eq!(trial(&dr, &given).await.0, "refuse");
}

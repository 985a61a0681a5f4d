//! Each mistake with certificate and key files, and the words it earns.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;
use crate::net::TlsClient;

struct Files {
    dir: TempDir,
}

impl Files {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }
}

fn pair() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["me".to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn client(certificate: PathBuf, key: PathBuf) -> Result<ClientTls, TlsError> {
    ClientTls::new(&Roots::File(certificate.clone()), Some(&ClientCertificate { certificate, key }))
}

fn refused(certificate: PathBuf, key: PathBuf) -> (String, String) {
    let error = client(certificate, key).unwrap_err();
    (error.to_string(), error.help().unwrap_or_default())
}

#[test]
fn takes_a_pair_that_belongs_together() {
    let files = Files::new();
    let (certificate, key) = pair();
    let tls = client(files.put("c.pem", certificate, 0o644), files.put("k.pem", key, 0o640)).unwrap();
    assert!(TlsClient::new(tls.clone(), "siem.example.com").unwrap().has_certificate());
    assert_eq!(tls.for_http().alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
}

#[test]
fn refuses_a_key_of_another_certificate() {
    let files = Files::new();
    let (certificate, _) = pair();
    let (_, key) = pair();
    let (what, help) = refused(files.put("c.pem", certificate, 0o644), files.put("k.pem", key, 0o600));
    assert!(what.ends_with("c.pem") && what.contains("does not belong to the certificate"), "{what}");
    assert!(help.contains("openssl"), "{help}");
}

#[test]
fn refuses_a_key_that_others_can_read() {
    let files = Files::new();
    let (certificate, key) = pair();
    let (what, help) = refused(files.put("c.pem", certificate, 0o644), files.put("k.pem", key, 0o644));
    assert!(what.contains("open to every user of this machine (mode 644)"), "{what}");
    assert!(help.contains("chmod 600"), "{help}");
}

#[test]
fn tells_what_a_file_holds_instead() {
    let files = Files::new();
    let (certificate, key) = pair();
    let (c, k) = (files.put("c.pem", &certificate, 0o644), files.put("k.pem", &key, 0o600));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (certificate, key, what, help) in [
        (k.clone(), k.clone(), "holds no certificate", "mixed up"),
        (c.clone(), files.put("c600.pem", &certificate, 0o600), "holds no private key", "mixed up"),
        (files.put("empty", "", 0o644), k.clone(), "holds no certificate", "BEGIN CERTIFICATE"),
        (c.clone(), files.put("enc.pem", encrypted, 0o600), "holds no private key", "passphrase"),
        (files.put("torn", &certificate.as_bytes()[..60], 0o644), k.clone(), "is not PEM", "openssl x509"),
        (files.dir.path().join("gone.pem"), k, "cannot read", "check the path"),
    ] {
        let (found, advice) = refused(certificate, key);
        assert!(found.contains(what), "{found}");
        assert!(advice.contains(help), "{advice}");
    }
}

#[test]
fn refuses_a_certificate_that_is_none_inside() {
    let files = Files::new();
    let (_, key) = pair();
    let junk = files.put("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 0o644);
    let error = ClientTls::new(&Roots::File(junk), None).unwrap_err();
    assert!(matches!(error, TlsError::BadCertificate { .. }), "{error}");
    let (certificate, _) = pair();
    let junk = files.put("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", 0o600);
    let error = client(files.put("c.pem", certificate, 0o644), junk).unwrap_err();
    assert!(matches!(error, TlsError::BadKey { .. }), "{error}");
    drop(key);
}

#[test]
fn wants_a_name_to_verify() {
    let files = Files::new();
    let tls = ClientTls::new(&Roots::File(files.put("c.pem", pair().0, 0o644)), None).unwrap();
    assert!(TlsClient::new(tls.clone(), "").is_err());
    assert!(TlsClient::new(tls.clone(), "two words").is_err());
    assert_eq!(TlsClient::new(tls.clone(), "2001:db8::7").unwrap().name(), "2001:db8::7");
    assert_eq!(TlsClient::new(tls, "siem.example.com").unwrap().name(), "siem.example.com");
}

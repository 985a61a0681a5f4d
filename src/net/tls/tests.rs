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

/// Files of a client in use, and a clock of our own.
struct Live {
    files: Files,
    tls: ClientTls,
    now: Instant,
}

impl Live {
    fn new() -> Self {
        let files = Files::new();
        let (certificate, key) = pair();
        let (certificate, key) = (files.put("c.pem", certificate, 0o644), files.put("k.pem", key, 0o600));
        let tls = client(certificate, key).unwrap();
        Self { files, tls, now: Instant::now() }
    }

    fn certificate(&self, text: &str) {
        self.files.put("c.pem", text, 0o644);
    }

    fn key(&self, text: &str) {
        self.files.put("k.pem", text, 0o600);
    }

    /// A look after `later`.
    fn look(&mut self, later: Duration) -> Refreshed {
        self.now += later;
        let mut watch = self.tls.watch();
        self.tls.0.look(&mut watch, self.now);
        mem::replace(&mut watch.news, Refreshed::Same)
    }

    fn in_use(&self) -> Arc<Material> {
        Arc::clone(&self.tls.watch().current)
    }

    fn fingerprint(&self) -> Fingerprint {
        self.tls.own_certificates()[0].fingerprint
    }
}

const AT_ONCE: Duration = Duration::from_millis(10);

#[test]
fn what_does_not_change_stays_and_costs_no_reading() {
    let mut live = Live::new();
    let before = live.in_use();
    for later in [AT_ONCE, REST, AT_ONCE, REST] {
        assert!(matches!(live.look(later), Refreshed::Same));
    }
    assert!(live.tls.watch().at_rest);
    assert!(Arc::ptr_eq(&before, &live.in_use()), "sessions are kept by what they were made of");
    // Touched and written anew with the same text: read, and found to be the same.
    let text = fs::read_to_string(live.files.dir.path().join("c.pem")).unwrap();
    live.certificate(&text);
    assert!(matches!(live.look(AT_ONCE), Refreshed::Same));
    assert!(Arc::ptr_eq(&before, &live.in_use()));
}

#[test]
fn a_new_pair_is_taken_whatever_the_order_and_the_pause_between_its_halves() {
    for (certificate_first, pause) in [(true, AT_ONCE), (false, AT_ONCE), (true, REST * 3), (false, REST * 3)]
    {
        let mut live = Live::new();
        let before = live.fingerprint();
        let (certificate, key) = pair();
        if certificate_first {
            live.certificate(&certificate);
        } else {
            live.key(&key);
        }
        assert!(matches!(live.look(AT_ONCE), Refreshed::Same), "half a pair is no mistake yet");
        let found = live.look(pause);
        if pause > REST {
            let Refreshed::Kept(TlsError::KeyMismatch { .. }) = found else { panic!("{found:?}") };
            assert!(matches!(live.look(REST * 9), Refreshed::Same), "told once");
        } else {
            assert!(matches!(found, Refreshed::Same), "{found:?}");
        }
        assert_eq!(live.fingerprint(), before);
        if certificate_first {
            live.key(&key);
        } else {
            live.certificate(&certificate);
        }
        assert!(matches!(live.look(AT_ONCE), Refreshed::New));
        assert_ne!(live.fingerprint(), before);
        assert!(matches!(live.look(REST), Refreshed::Same));
    }
}

#[test]
fn the_old_pair_stays_while_the_files_are_bad() {
    let mut live = Live::new();
    let before = live.in_use();
    let good = fs::read_to_string(live.files.dir.path().join("c.pem")).unwrap();
    for (bad, what) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\nAAAA", "is not PEM")] {
        live.certificate(bad);
        assert!(matches!(live.look(AT_ONCE), Refreshed::Same));
        let found = live.look(REST);
        let Refreshed::Kept(wrong) = &found else { panic!("{found:?}") };
        assert!(wrong.to_string().contains(what), "{wrong}");
        assert!(matches!(live.look(REST), Refreshed::Same));
    }
    fs::remove_file(live.files.dir.path().join("k.pem")).unwrap();
    live.certificate(&good);
    assert!(matches!(live.look(AT_ONCE), Refreshed::Same));
    assert!(matches!(live.look(REST), Refreshed::Kept(TlsError::Read { .. })));
    assert!(Arc::ptr_eq(&before, &live.in_use()));
}

#[test]
fn the_cure_can_be_another_mode_alone() {
    let mut live = Live::new();
    let (certificate, key) = pair();
    live.certificate(&certificate);
    let path = live.files.put("k.pem", key, 0o644);
    let _early = live.look(AT_ONCE);
    assert!(matches!(live.look(REST), Refreshed::Kept(TlsError::KeyExposed { .. })));
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(live.look(AT_ONCE), Refreshed::New));
}

#[test]
fn what_a_connection_finds_is_told_to_the_first_who_asks() {
    let live = Live::new();
    let one = TlsClient::new(live.tls.clone(), "siem-a.example.com").unwrap();
    let other = TlsClient::new(live.tls.clone(), "siem-b.example.com").unwrap();
    let (certificate, key) = pair();
    live.certificate(&certificate);
    live.key(&key);
    let _found_by_a_connection = live.tls.material();
    assert!(matches!(other.refresh(), Refreshed::New));
    assert!(matches!(one.refresh(), Refreshed::Same));
    assert_eq!(one.own_certificates(), other.own_certificates());
}

#[test]
fn a_mistake_that_was_undone_before_anybody_asked_is_none() {
    let mut live = Live::new();
    let good = fs::read_to_string(live.files.dir.path().join("c.pem")).unwrap();
    live.certificate("");
    for later in [AT_ONCE, REST] {
        live.now += later;
        let mut watch = live.tls.watch();
        live.tls.0.look(&mut watch, live.now);
    }
    live.certificate(&good);
    assert!(matches!(live.look(AT_ONCE), Refreshed::Same));
}

#[test]
fn sends_what_can_be_sent_and_no_address() {
    let files = Files::new();
    let tls = ClientTls::new(&Roots::File(files.put("c.pem", pair().0, 0o644)), None).unwrap();
    let client = TlsClient::new(tls, "10.0.0.1").unwrap();
    for sni in ["10.0.0.2", "::1", "", "two words"] {
        assert!(matches!(client.clone().with_sni(sni), Err(TlsError::BadSni { .. })), "{sni}");
    }
    assert_eq!(client.with_sni("siem.example.com").unwrap().name(), "10.0.0.1");
}

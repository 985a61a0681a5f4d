//! How Slack is reached: `proxy`, `proxy_password` and `ca`, in `[slack]` for all sources, or in one
//! source for itself.

use std::path::PathBuf;

use super::reader::Section;
use super::secret::{self, SecretFrom};
use crate::slack::Proxy;

/// How Slack is reached.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// Through which proxy.
    pub proxy: Proxy,
    /// Where the password is that the proxy asks for.
    pub proxy_password: Option<SecretFrom>,
    /// Authorities that are trusted beside the system's.
    pub ca: Option<PathBuf>,
}

/// Reads the keys; those that are not there are as `otherwise` has them.
///
/// A proxy and its password go together: whoever names another proxy names its password too.
pub(super) fn read(section: &Section<'_, '_>, otherwise: &Reach) -> Reach {
    let proxy = section
        .parsed("proxy", |text| text.parse().map_err(|error: crate::slack::BadProxy| error.to_string()));
    let proxy_password = read_password(section);
    let ca = section.text("ca").map(|word| word.text.into()).or_else(|| otherwise.ca.clone());
    if let Some(place) = section.place("proxy_password")
        && section.place("proxy").is_none_or(|_| proxy.as_ref().is_some_and(|proxy| user(proxy).is_none()))
    {
        let what = "a password, and no proxy here with a user it belongs to";
        section.problem(&place, "missing", what, "write `proxy = \"http://USER@HOST:PORT\"` beside it");
    }
    match proxy {
        Some(proxy) => Reach { proxy, proxy_password, ca },
        None => Reach { ca, ..otherwise.clone() },
    }
}

fn user(proxy: &Proxy) -> Option<&str> {
    match proxy {
        Proxy::At(address) => address.user(),
        Proxy::Environment | Proxy::Off => None,
    }
}

fn read_password(section: &Section<'_, '_>) -> Option<SecretFrom> {
    const HELP: &str =
        "write `proxy_password = { file = \"…\" }`, `{ env = \"…\" }` or `{ credential = \"…\" }`";
    let place = section.place("proxy_password")?;
    let given = section.section("proxy_password")?;
    secret::read(section, "proxy_password", &place, &given, HELP)
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    const HEAD: &str = "version = 1\n[destinations.x]\nstdout = {}\n";

    fn parse(slack: &str, source: &str) -> Result<Config, Vec<crate::problem::Problem>> {
        let source = format!("[sources.a]\nlog = \"audit\"\ntoken = {{ env = \"T\" }}\n{source}\n");
        Config::parse("slackcef.toml", &format!("{HEAD}{slack}\n{source}"))
    }

    fn reach(slack: &str, source: &str) -> Reach {
        parse(slack, source).unwrap().sources["a"].reach.clone()
    }

    #[test]
    fn a_source_goes_the_way_of_all_unless_it_names_its_own() {
        assert_eq!(reach("", ""), Reach::default());
        let all =
            "[slack]\nproxy = \"http://me@proxy:3128\"\nproxy_password = { env = \"P\" }\nca = \"/ca.pem\"";
        let of_all = reach(all, "");
        assert_eq!(of_all.proxy.to_string(), "http://me@proxy:3128/");
        assert_eq!(of_all.proxy_password, Some(SecretFrom::Env("P".to_owned())));
        assert_eq!(
            reach(all, "proxy = \"off\""),
            Reach { proxy: Proxy::Off, proxy_password: None, ..of_all.clone() }
        );
        assert_eq!(reach(all, "ca = \"/other.pem\""), Reach { ca: Some("/other.pem".into()), ..of_all });
    }

    #[test]
    fn a_password_belongs_to_a_user() {
        let password = "proxy_password = { env = \"P\" }";
        for source in [password.to_owned(), format!("proxy = \"http://proxy:3128\"\n{password}")] {
            let problems = parse("", &source).unwrap_err();
            assert_eq!(problems[0].code, "missing", "{source}");
        }
        let problems = parse("", "proxy = \"http://me:secret@proxy:3128\"").unwrap_err();
        assert!(problems[0].help.as_deref().unwrap().contains("proxy_password"), "{problems:?}");
    }
}

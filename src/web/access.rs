//! Who may look: on loopback whoever comes by a name of loopback, beyond it whoever has a token or is let through by a proxy.

/// Who may look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Names by which it may be called beside those of loopback, in small letters, without a port.
    pub hosts: Vec<String>,
}

/// The names of loopback.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

impl Access {
    /// Whether it may be called by this `Host`. A page on loopback that took any name could be read by a foreign page whose name leads
    /// there (DNS rebinding).
    pub fn takes_host(&self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        let name = match host.rfind(':') {
            Some(at) if host[at + 1..].bytes().all(|byte| byte.is_ascii_digit()) && !host[at + 1..].is_empty() => {
                &host[..at]
            }
            _ => host.as_str(),
        };
        LOOPBACK.contains(&name) || self.hosts.iter().any(|known| known == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_are_known_are_taken() {
        let access = Access { hosts: vec!["status.example.org".into()] };
        for good in ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]", "[::1]:8080", "status.example.org:443"] {
            assert!(access.takes_host(good), "{good}");
        }
        for bad in
            ["", ":", "evil.example", "localhost.evil.example", "127.0.0.1.evil", "::1", "localhost:80x", "[::1]evil"]
        {
            assert!(!access.takes_host(bad), "{bad}");
        }
    }
}

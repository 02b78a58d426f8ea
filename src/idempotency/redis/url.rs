//! Where the store is: one text in the settings.

use std::fmt;

use crate::domain::Reference;

/// Where the store is. It never holds a password: that comes from a file.
///
/// Its `Display` is safe to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `memory:`, in this process.
    Memory,
    /// One of the Redis forms.
    Redis(RedisUrl),
}

/// A Redis, in one of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisUrl {
    /// How the servers are found.
    pub topology: Topology,
    /// The servers, or the sentinels, or some of the cluster's nodes.
    pub hosts: Vec<HostPort>,
    /// TLS to all of them.
    pub tls: bool,
    /// The ACL user; none is `default`.
    pub username: Option<String>,
    /// The numbered database; always 0 in a cluster.
    pub database: i64,
    /// The sentinels take the store's user and password too.
    pub sentinel_auth: bool,
}

/// How the servers are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Topology {
    /// `redis://host:port/db`: the one server.
    Single,
    /// `redis+sentinel://host:port,…/master-name?db=0`: whom the sentinels name.
    Sentinel {
        /// The name by which the sentinels know the master.
        master: String,
    },
    /// `redis+cluster://host:port,…`: the node that has the account's slot.
    Cluster,
}

/// A host and its port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

impl fmt::Display for HostPort {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

/// What is wrong with a store's address. The text never repeats it, as it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlFault {
    /// Not one of the forms.
    #[error(
        "must begin with redis://, rediss://, redis+sentinel://, rediss+sentinel://, \
         redis+cluster:// or rediss+cluster://, or be memory:"
    )]
    Scheme,
    /// A password in the address, where process lists and logs show it.
    #[error("must not hold a password; put it in the store's password file")]
    Password,
    /// Not an ACL user's name.
    #[error("the user's name must be an identifier")]
    Username,
    /// A host that is none.
    #[error("host {0} of the list is not a host or host:port")]
    Host(usize),
    /// Several hosts where one belongs.
    #[error("redis:// takes one host; several need redis+sentinel:// or redis+cluster://")]
    SeveralHosts,
    /// No name of the master.
    #[error("redis+sentinel:// needs the master's name as its path, such as /mymaster")]
    MasterName,
    /// Not a number of a database.
    #[error("the database must be a number from 0 to 9999, and 0 in a cluster")]
    Database,
    /// A parameter that means nothing.
    #[error("parameter {0} of the query is not one of db and sentinel_auth, with its value")]
    Parameter(usize),
}

impl StoreUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<UrlFault>> {
        if text == "memory:" {
            return Ok(Self::Memory);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| vec![UrlFault::Scheme])?;
        let (tls, form) = match scheme.strip_prefix("rediss") {
            Some(form) => (true, form),
            None => (false, scheme.strip_prefix("redis").unwrap_or("?")),
        };
        if !["", "+sentinel", "+cluster"].contains(&form) {
            return Err(vec![UrlFault::Scheme]);
        }
        let mut parser = Parser::default();
        let url = parser.parse(form, tls, rest);
        if parser.faults.is_empty() { Ok(Self::Redis(url)) } else { Err(parser.faults) }
    }
}

#[derive(Default)]
struct Parser {
    faults: Vec<UrlFault>,
}

impl Parser {
    fn parse(&mut self, form: &str, tls: bool, rest: &str) -> RedisUrl {
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (username, password) = user.split_once(':').unwrap_or((user, ""));
        if !password.is_empty() {
            self.faults.push(UrlFault::Password);
        }
        if !username.is_empty() && Reference::new(username).is_err() {
            self.faults.push(UrlFault::Username);
        }
        let default_port = if form == "+sentinel" { 26379 } else { 6379 };
        let hosts = self.hosts(hosts, default_port);
        let mut url = RedisUrl {
            topology: Topology::Single,
            hosts,
            tls,
            username: (!username.is_empty()).then(|| username.to_owned()),
            database: 0,
            sentinel_auth: false,
        };
        match form {
            "+sentinel" => {
                if Reference::new(path).is_err() {
                    self.faults.push(UrlFault::MasterName);
                }
                let master = path.to_owned();
                url.topology = Topology::Sentinel { master };
            }
            "+cluster" => {
                url.topology = Topology::Cluster;
                self.database(path, &mut url);
            }
            _ => {
                if url.hosts.len() > 1 {
                    self.faults.push(UrlFault::SeveralHosts);
                }
                self.database(path, &mut url);
            }
        }
        self.query(query, &mut url);
        url
    }

    fn hosts(&mut self, list: &str, default_port: u16) -> Vec<HostPort> {
        let mut hosts = Vec::new();
        for (index, entry) in list.split(',').enumerate() {
            match host_port(entry, default_port) {
                Some(host) => hosts.push(host),
                None => self.faults.push(UrlFault::Host(index + 1)),
            }
        }
        hosts
    }

    fn database(&mut self, text: &str, url: &mut RedisUrl) {
        if text.is_empty() {
            return;
        }
        match text.parse::<u16>() {
            Ok(0) => {}
            Ok(number) if number <= 9999 && url.topology != Topology::Cluster => {
                url.database = i64::from(number);
            }
            Ok(_) | Err(_) => self.faults.push(UrlFault::Database),
        }
    }

    fn query(&mut self, query: &str, url: &mut RedisUrl) {
        let parameters = query.split('&').filter(|it| !it.is_empty());
        for (index, parameter) in parameters.enumerate() {
            match parameter.split_once('=') {
                Some(("db", value)) => self.database(value, url),
                Some(("sentinel_auth", "true")) => url.sentinel_auth = true,
                Some(("sentinel_auth", "false")) => url.sentinel_auth = false,
                Some(_) | None => self.faults.push(UrlFault::Parameter(index + 1)),
            }
        }
    }
}

fn host_port(entry: &str, default_port: u16) -> Option<HostPort> {
    let (host, port) = match entry.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, port.strip_prefix(':'))
        }
        None => match entry.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (entry, None),
        },
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_name) {
        return None;
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|port| *port != 0)?,
        None => default_port,
    };
    let host = host.to_owned();
    Some(HostPort { host, port })
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => formatter.write_str("memory:"),
            Self::Redis(url) => url.fmt(formatter),
        }
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        let form = match &self.topology {
            Topology::Single => "",
            Topology::Sentinel { .. } => "+sentinel",
            Topology::Cluster => "+cluster",
        };
        write!(formatter, "{scheme}{form}://")?;
        if let Some(username) = &self.username {
            write!(formatter, "{username}@")?;
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(formatter, "{comma}{host}")?;
        }
        match &self.topology {
            Topology::Sentinel { master } => {
                write!(formatter, "/{master}?db={}", self.database)?;
                if self.sentinel_auth {
                    formatter.write_str("&sentinel_auth=true")?;
                }
                Ok(())
            }
            Topology::Single => write!(formatter, "/{}", self.database),
            Topology::Cluster => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_and_shows() {
        for (text, shown) in [
            ("memory:", "memory:"),
            ("redis://localhost", "redis://localhost:6379/0"),
            ("rediss://app@[::1]:7000/2", "rediss://app@[::1]:7000/2"),
            (
                "redis+sentinel://a,b:1/mymaster?db=3&sentinel_auth=true",
                "redis+sentinel://a:26379,b:1/mymaster?db=3&sentinel_auth=true",
            ),
            ("rediss+cluster://a,b", "rediss+cluster://a:6379,b:6379"),
        ] {
            let url = StoreUrl::parse(text).map(|url| url.to_string());
            assert_eq!(url, Ok(shown.to_owned()));
            assert_eq!(StoreUrl::parse(shown).map(|it| it.to_string()), url);
        }
    }

    #[test]
    fn every_fault_is_listed_and_no_secret_repeated() {
        let faults = StoreUrl::parse("redis://a b:hunter2@x:0,y/-1?db=a&z").unwrap_err();
        let text = format!("{faults:?} {}", faults[0]);
        assert_eq!(
            faults,
            [
                UrlFault::Password,
                UrlFault::Username,
                UrlFault::Host(1),
                UrlFault::Database,
                UrlFault::Database,
                UrlFault::Parameter(2)
            ]
        );
        assert!(!text.contains("hunter2"));
        let fault = |text| StoreUrl::parse(text).unwrap_err();
        assert_eq!(fault("http://x"), [UrlFault::Scheme]);
        assert_eq!(fault("redis://a,b"), [UrlFault::SeveralHosts]);
        assert_eq!(fault("redis+sentinel://a"), [UrlFault::MasterName]);
        assert_eq!(fault("redis+cluster://a/1"), [UrlFault::Database]);
    }
}

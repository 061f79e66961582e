//! Asks one name server for the addresses of a name.
//!
//! Not the system's resolver: that one remembers, looks into `/etc/hosts` and asks one server of
//! several, and what matters in a change of roles is what each of them says now.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::look::provider;

/// How often a question is sent by UDP, which loses some.
const SENDS: u32 = 3;
/// The largest answer by UDP to a question without extensions is 512 bytes; some send more.
const UDP_BYTES_MAX: usize = 4_096;

/// What a name server says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// All addresses.
    pub(crate) addresses: BTreeSet<IpAddr>,
    /// For how many seconds it may be remembered, at least.
    pub(crate) ttl: Option<u32>,
}

/// Asks for IPv4 and IPv6 addresses.
///
/// # Errors
///
/// The server did not answer, or could not tell. A name that does not exist is no error: it has no
/// address.
pub(crate) async fn ask(server: SocketAddr, name: &str, limit: Duration) -> Result<Said, String> {
    let asked = async {
        let (four, six) = tokio::join!(
            ask_for(server, name, TYPE::A, limit),
            ask_for(server, name, TYPE::AAAA, limit)
        );
        let (mut said, six) = (four?, six?);
        said.addresses.extend(six.addresses);
        said.ttl = said.ttl.into_iter().chain(six.ttl).min();
        Ok(said)
    };
    timeout(limit, asked).await.unwrap_or_else(|_| Err("no answer".to_owned()))
}

async fn ask_for(
    server: SocketAddr,
    name: &str,
    kind: TYPE,
    limit: Duration,
) -> Result<Said, String> {
    let id = random_id()?;
    let question = question(id, name, kind)?;
    let mut reply = by_udp(server, &question, id, limit / SENDS).await?;
    if truncated(&reply) {
        reply = by_tcp(server, &question).await.map_err(|error| format!("by TCP: {error}"))?;
    }
    read(&reply, id)
}

/// Nobody who does not see the question can answer it.
fn random_id() -> Result<u16, String> {
    let mut bytes = [0; 2];
    let filled = provider().secure_random.fill(&mut bytes);
    filled.map_err(|_| "this machine has no random numbers".to_owned())?;
    Ok(u16::from_be_bytes(bytes))
}

fn question(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, String> {
    let bad = |_| format!("{name} is no name that can be asked for");
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(bad)?;
    packet.questions.push(Question::new(name, kind.into(), CLASS::IN.into(), false));
    packet.build_bytes_vec().map_err(|error| error.to_string())
}

async fn by_udp(
    server: SocketAddr,
    question: &[u8],
    id: u16,
    wait: Duration,
) -> Result<Vec<u8>, String> {
    let any: IpAddr = if server.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    let text = |error: std::io::Error| error.to_string();
    let socket = UdpSocket::bind((any, 0)).await.map_err(text)?;
    // Connected: only this server is heard.
    socket.connect(server).await.map_err(text)?;
    let mut buffer = vec![0; UDP_BYTES_MAX];
    for _ in 0..SENDS {
        socket.send(question).await.map_err(text)?;
        let heard = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                let reply = buffer.get(..length).unwrap_or_default();
                if reply.get(..2) == Some(&id.to_be_bytes()) {
                    return Ok::<_, std::io::Error>(reply.to_vec());
                }
            }
        };
        match timeout(wait, heard).await {
            Ok(Ok(reply)) => return Ok(reply),
            Ok(Err(error)) => return Err(text(error)),
            Err(_) => {}
        }
    }
    Err("no answer".to_owned())
}

async fn by_tcp(server: SocketAddr, question: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let length = u16::try_from(question.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let mut reply = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut reply).await?;
    Ok(reply)
}

fn truncated(reply: &[u8]) -> bool {
    Packet::parse(reply).is_ok_and(|packet| packet.has_flags(PacketFlag::TRUNCATION))
        // What is cut short may not even parse; the flag has a place of its own.
        || reply.get(2).is_some_and(|flags| flags & 0x02 != 0)
}

fn read(reply: &[u8], id: u16) -> Result<Said, String> {
    let packet = Packet::parse(reply).map_err(|_| "an answer that can't be read".to_owned())?;
    if packet.id() != id || !packet.has_flags(PacketFlag::RESPONSE) {
        return Err("an answer to something else".to_owned());
    }
    let mut said = Said::default();
    let code = packet.rcode();
    if code == RCODE::NameError {
        return Ok(said);
    }
    if code != RCODE::NoError {
        return Err(format!("it says {code:?}"));
    }
    for record in &packet.answers {
        // The names between an alias and its address don't matter: all are in one answer.
        if let RData::A(found) = &record.rdata {
            said.addresses.insert(IpAddr::from(found.address.to_be_bytes()));
        } else if let RData::AAAA(found) = &record.rdata {
            said.addresses.insert(IpAddr::from(found.address.to_be_bytes()));
        } else {
            continue;
        }
        said.ttl = Some(said.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
    }
    Ok(said)
}

/// Reads the name servers of a file such as `/etc/resolv.conf`.
///
/// # Errors
///
/// It names none.
pub(crate) fn of_file(path: &Path) -> Result<Vec<SocketAddr>, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
    let server = |line: &str| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        Some(SocketAddr::new(words.next()?.parse().ok()?, 53))
    };
    let servers: Vec<SocketAddr> = text.lines().filter_map(server).collect();
    if servers.is_empty() { Err(format!("{shown} names no server")) } else { Ok(servers) }
}

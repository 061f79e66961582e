//! A name server that says what the test wants.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use simple_dns::rdata::{A, AAAA, RData};
use simple_dns::{CLASS, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

#[derive(Default)]
struct State {
    names: BTreeMap<String, Vec<IpAddr>>,
    silent: bool,
    broken: bool,
    by_tcp_only: bool,
    asked_by_tcp: usize,
}

/// It ends when it is dropped.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    _tasks: JoinSet<()>,
}

impl NameServer {
    pub(crate) async fn start() -> Self {
        let (tcp, udp) = loop {
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            // The same number may be taken for UDP.
            if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
                break (tcp, udp);
            }
        };
        let address = udp.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(by_udp(udp, state.clone()));
        tasks.spawn(by_tcp(tcp, state.clone()));
        Self { address, state, _tasks: tasks }
    }

    /// From now on the name leads there; to nothing, if there is no address.
    pub(crate) fn set(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.state.lock().unwrap().names.insert(name.to_owned(), addresses);
    }

    /// Where a name leads.
    #[allow(dead_code, reason = "the end-to-end tests look at it")]
    pub(crate) fn leads_to(&self, name: &str) -> Vec<IpAddr> {
        self.state.lock().unwrap().names[name].clone()
    }

    pub(crate) fn be_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    pub(crate) fn break_down(&self) {
        self.state.lock().unwrap().broken = true;
    }

    /// Answers by UDP are cut short from now on.
    pub(crate) fn insist_on_tcp(&self) {
        self.state.lock().unwrap().by_tcp_only = true;
    }

    pub(crate) fn asked_by_tcp(&self) -> usize {
        self.state.lock().unwrap().asked_by_tcp
    }
}

async fn by_udp(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = [0; 4_096];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await.unwrap();
        let Some(reply) = reply(&buffer[..length], &state, true) else { continue };
        socket.send_to(&reply, from).await.unwrap();
    }
}

async fn by_tcp(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let length = stream.read_u16().await.unwrap();
        let mut question = vec![0; length.into()];
        stream.read_exact(&mut question).await.unwrap();
        state.lock().unwrap().asked_by_tcp += 1;
        let Some(reply) = reply(&question, &state, false) else { continue };
        stream.write_u16(reply.len().try_into().unwrap()).await.unwrap();
        stream.write_all(&reply).await.unwrap();
    }
}

fn reply(question: &[u8], state: &Mutex<State>, udp: bool) -> Option<Vec<u8>> {
    let state = state.lock().unwrap();
    if state.silent {
        return None;
    }
    let question = Packet::parse(question).unwrap();
    let mut reply = Packet::new_reply(question.id());
    let asked = question.questions[0].clone();
    let name = asked.qname.to_string().to_ascii_lowercase();
    reply.questions.push(asked.clone());
    if state.broken {
        *reply.rcode_mut() = RCODE::ServerFailure;
    } else if udp && state.by_tcp_only {
        reply.set_flags(PacketFlag::TRUNCATION);
    } else if let Some(addresses) = state.names.get(&name) {
        for address in addresses {
            let data = match address {
                IpAddr::V4(four) if asked.qtype == QTYPE::TYPE(TYPE::A) => RData::A(A::from(*four)),
                IpAddr::V6(six) if asked.qtype == QTYPE::TYPE(TYPE::AAAA) => {
                    RData::AAAA(AAAA::from(*six))
                }
                IpAddr::V4(_) | IpAddr::V6(_) => continue,
            };
            reply.answers.push(ResourceRecord::new(asked.qname.clone(), CLASS::IN, 60, data));
        }
    } else {
        *reply.rcode_mut() = RCODE::NameError;
    }
    Some(reply.build_bytes_vec().unwrap())
}

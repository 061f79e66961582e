//! A TCP proxy that misbehaves on order, between a client and one server on 127.0.0.1.
//!
//! Faults are set per direction and hold for the connections that are open as well as for new ones.
//! Nothing is thrown away unless that is the order: what was held or delayed arrives in order.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Requests.
    ToServer,
    /// Answers.
    ToClient,
}

/// What is wrong with one direction. The default: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Each byte arrives this much later.
    pub latency: Duration,
    /// At most this many bytes per second.
    pub bandwidth: Option<u64>,
    /// At most this many bytes at a time.
    pub slice: Option<usize>,
    /// Bytes are swallowed and the connection stays open, as if the other end had vanished. Once it
    /// is lifted, a connection that lost something is reset.
    pub blackhole: bool,
    /// Bytes wait until this is lifted.
    pub hold: bool,
    /// The connection is reset after this many bytes, counted per connection.
    pub limit: Option<u64>,
}

/// Chooses a server for each new connection, by its number from 1 on; `None` for the proxy's own.
type Rule = Arc<dyn Fn(u64) -> Option<SocketAddr> + Send + Sync>;

struct Controls {
    to_server: watch::Sender<Faults>,
    to_client: watch::Sender<Faults>,
    refuse: watch::Sender<bool>,
    route: watch::Sender<Option<Rule>>,
    cut: broadcast::Sender<()>,
    connections: AtomicU64,
    bytes_to_server: AtomicU64,
    bytes_to_client: AtomicU64,
}

impl Controls {
    const fn faults(&self, direction: Direction) -> &watch::Sender<Faults> {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    const fn bytes(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.bytes_to_server,
            Direction::ToClient => &self.bytes_to_client,
        }
    }
}

impl fmt::Debug for Controls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Controls").field("connections", &self.connections).finish_non_exhaustive()
    }
}

/// A running proxy. Dropping it resets all connections and stops listening.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    scheme: &'static str,
    controls: Arc<Controls>,
    accept: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy before `target`: a URL such as `http://127.0.0.1:2379`, or `127.0.0.1:2379`.
    ///
    /// # Panics
    ///
    /// If the target is not on 127.0.0.1.
    pub async fn start(target: &str) -> Self {
        let scheme = if target.starts_with("https://") { "https" } else { "http" };
        let target = address_of(target);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let address = listener.local_addr().expect("the port");
        let controls = Arc::new(Controls {
            to_server: watch::Sender::new(Faults::default()),
            to_client: watch::Sender::new(Faults::default()),
            refuse: watch::Sender::new(false),
            route: watch::Sender::new(None),
            cut: broadcast::Sender::new(4),
            connections: AtomicU64::new(0),
            bytes_to_server: AtomicU64::new(0),
            bytes_to_client: AtomicU64::new(0),
        });
        let accept = tokio::spawn(accept(listener, target, Arc::clone(&controls)));
        Self { address, scheme, controls, accept }
    }

    /// Returns the proxy's own URL, with the scheme of its target.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Sets what is wrong with one direction.
    pub fn set(&self, direction: Direction, faults: Faults) {
        self.controls.faults(direction).send_replace(faults);
    }

    /// Changes what is wrong with one direction.
    pub fn change(&self, direction: Direction, change: impl FnOnce(&mut Faults)) {
        self.controls.faults(direction).send_modify(change);
    }

    /// Lets both directions work again, and new connections in.
    pub fn heal(&self) {
        self.set(Direction::ToServer, Faults::default());
        self.set(Direction::ToClient, Faults::default());
        self.refuse(false);
    }

    /// Swallows everything, both ways: the peer has vanished without a word.
    pub fn blackhole(&self) {
        self.change(Direction::ToServer, |faults| faults.blackhole = true);
        self.change(Direction::ToClient, |faults| faults.blackhole = true);
    }

    /// Swallows the answers only: what was asked is done, and nobody hears of it.
    pub fn drop_answers(&self) {
        self.change(Direction::ToClient, |faults| faults.blackhole = true);
    }

    /// Makes a direction wait. [`Proxy::release`] lets everything through, in order.
    pub fn hold(&self, direction: Direction) {
        self.change(direction, |faults| faults.hold = true);
    }

    /// Ends [`Proxy::hold`].
    pub fn release(&self, direction: Direction) {
        self.change(direction, |faults| faults.hold = false);
    }

    /// Resets all open connections (RST), without a clean end.
    pub fn cut(&self) {
        // Nobody listens if no connection is open.
        let _ = self.controls.cut.send(());
    }

    /// Resets new connections at once, until told otherwise.
    pub fn refuse(&self, refuse: bool) {
        self.controls.refuse.send_replace(refuse);
    }

    /// Leads the new connections that `rule` chooses to another server, as an address does that is
    /// shared or was given away. The rule is asked with each connection's number, from 1 on.
    ///
    /// # Panics
    ///
    /// If the other server is not on 127.0.0.1.
    pub fn lead_astray(&self, other: &str, rule: impl Fn(u64) -> bool + Send + Sync + 'static) {
        let other = address_of(other);
        let rule: Rule = Arc::new(move |connection| rule(connection).then_some(other));
        self.controls.route.send_replace(Some(rule));
    }

    /// Leads new connections to the proxy's own target again.
    pub fn lead_home(&self) {
        self.controls.route.send_replace(None);
    }

    /// Returns how many connections there have been.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.controls.connections.load(Ordering::Relaxed)
    }

    /// Returns how many bytes have arrived in a direction. Swallowed ones don't count.
    #[must_use]
    pub fn bytes(&self, direction: Direction) -> u64 {
        self.controls.bytes(direction).load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accept.abort();
        self.cut();
    }
}

/// Returns the address in a URL or text of our own machine.
fn address_of(target: &str) -> SocketAddr {
    let host = target.split_once("://").map_or(target, |(_, host)| host);
    let address: SocketAddr = host.parse().expect("an address and a port");
    assert!(address.ip().is_loopback(), "{address} is not on this machine");
    address
}

async fn accept(listener: TcpListener, target: SocketAddr, controls: Arc<Controls>) {
    while let Ok((client, _)) = listener.accept().await {
        if *controls.refuse.borrow() {
            let _ = client.set_zero_linger();
            continue;
        }
        let number = controls.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let astray = controls.route.borrow().as_ref().and_then(|rule| rule(number));
        let target = astray.unwrap_or(target);
        // Before the task runs, so that a cut that comes now is heard.
        let cut = controls.cut.subscribe();
        tokio::spawn(connection(client, target, Arc::clone(&controls), cut));
    }
}

async fn connection(
    client: TcpStream,
    target: SocketAddr,
    controls: Arc<Controls>,
    mut cut: broadcast::Receiver<()>,
) {
    let Ok(server) = connect(target).await else {
        let _ = client.set_zero_linger();
        return;
    };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let both = async {
        tokio::try_join!(
            pump(&client, &server, &controls, Direction::ToServer),
            pump(&server, &client, &controls, Direction::ToClient),
        )
    };
    let clean = tokio::select! {
        ended = both => ended.is_ok(),
        _ = cut.recv() => false,
    };
    if !clean {
        let _ = client.set_zero_linger();
        let _ = server.set_zero_linger();
    }
}

/// The kernel reads little ahead, too.
async fn connect(target: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(256 << 10)?;
    socket.connect(target).await
}

/// What has been read and not yet passed on.
#[derive(Debug, Default)]
struct Queue {
    chunks: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
    ended: bool,
}

/// More is not read ahead, so that a slow direction pushes back.
const AHEAD_MAX: usize = 1 << 20;

/// On a thin line a tenth of a second, beside what its latency holds: what has been asked for
/// later does not wait long behind it.
fn ahead_max(faults: &Faults) -> usize {
    let Some(rate) = faults.bandwidth else { return AHEAD_MAX };
    let millis = u64::try_from(faults.latency.as_millis()).unwrap_or(0) + 100;
    let bytes = usize::try_from(rate.saturating_mul(millis) / 1_000).unwrap_or(AHEAD_MAX);
    bytes.clamp(16 << 10, AHEAD_MAX)
}

/// Passes bytes on until the source ends (`Ok`) or the connection is to be reset (`Err`).
async fn pump(
    from: &TcpStream,
    to: &TcpStream,
    controls: &Controls,
    direction: Direction,
) -> io::Result<()> {
    let mut faults = controls.faults(direction).subscribe();
    let mut queue = Queue::default();
    let (mut passed, mut lost) = (0_u64, false);
    let mut buffer = vec![0; 64 * 1024];
    // When the line is free again, by the bandwidth.
    let mut free_at = Instant::now();
    loop {
        let now = *faults.borrow_and_update();
        if now.blackhole {
            lost |= queue.bytes > 0;
            queue.chunks.clear();
            queue.bytes = 0;
        } else if lost {
            // The rest would be garbage to whoever reads it.
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if queue.ended && queue.chunks.is_empty() && !now.blackhole {
            return shutdown(to);
        }
        let due = queue.chunks.front().map(|(due, _)| (*due).max(free_at));
        tokio::select! {
            biased;
            changed = faults.changed() => {
                changed.map_err(io::Error::other)?;
            }
            () = sleep_until(due), if due.is_some() && !now.hold => {
                let Some((due, mut chunk)) = queue.chunks.pop_front() else { continue };
                let size = now.slice.unwrap_or(usize::MAX).clamp(1, chunk.len());
                // With a bandwidth, small pieces, so that time passes between them.
                let size = now.bandwidth.map_or(size, |_| size.min(4096));
                let left = now.limit.map_or(u64::MAX, |limit| limit.saturating_sub(passed));
                let size = size.min(usize::try_from(left).unwrap_or(usize::MAX));
                if size < chunk.len() {
                    queue.chunks.push_front((due, chunk.split_off(size)));
                }
                write_all(to, &chunk).await?;
                queue.bytes -= size;
                passed += size as u64;
                controls.bytes(direction).fetch_add(size as u64, Ordering::Relaxed);
                if now.limit.is_some_and(|limit| passed >= limit) {
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
                if let Some(rate) = now.bandwidth {
                    let takes = Duration::from_secs_f64(size as f64 / rate.max(1) as f64);
                    // Timers are late by a millisecond or two: what was lost is made up for.
                    let late = Instant::now().checked_sub(Duration::from_millis(20));
                    free_at = late.map_or(free_at, |late| free_at.max(late)) + takes;
                }
            }
            ready = from.readable(), if !queue.ended && queue.bytes < ahead_max(&now) => {
                ready?;
                match from.try_read(&mut buffer) {
                    Ok(0) => queue.ended = true,
                    Ok(read) if now.blackhole => lost |= read > 0,
                    Ok(read) => {
                        queue.chunks.push_back((Instant::now() + now.latency, buffer[..read].to_vec()));
                        queue.bytes += read;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn write_all(to: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        to.writable().await?;
        match to.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Tells the receiver that no more will come, while it may go on sending.
fn shutdown(to: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::shutdown(to, rustix::net::Shutdown::Write)?)
}

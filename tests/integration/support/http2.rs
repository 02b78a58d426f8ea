//! An HTTP/2 peer that writes its frames by hand, and so can break every rule.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The setting of how much of a stream the peer takes before it says more.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 4;

pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame as it goes over the wire.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A header block with the head of a gRPC call.
pub(crate) fn call_head(path: &str) -> Vec<u8> {
    let text = |text: &str| {
        let mut bytes = vec![u8::try_from(text.len()).unwrap()];
        bytes.extend(text.as_bytes());
        bytes
    };
    // POST and http stand in HPACK's own table; the others are literals.
    let mut block = vec![0x83, 0x86, 0x04];
    block.extend(text(path));
    block.push(0x01);
    block.extend(text("localhost"));
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")] {
        block.push(0x00);
        block.extend(text(name));
        block.extend(text(value));
    }
    block
}

/// A frame as it came.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// The error code of a GOAWAY or RST_STREAM.
    pub(crate) fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// How an attack ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this GOAWAY last, and then closed.
    Goodbye(u32),
    /// Without a word.
    Closed,
}

pub(crate) struct Attacker(TcpStream);

impl Attacker {
    /// Connects, and opens in order.
    pub(crate) async fn connect(address: &str) -> Self {
        Self::with_settings(address, &[]).await
    }

    /// The same with settings of its own: identifiers and values.
    pub(crate) async fn with_settings(address: &str, settings: &[(u16, u32)]) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        let bytes = |(name, value): &(u16, u32)| {
            [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
        };
        let settings: Vec<u8> = settings.iter().flat_map(bytes).collect();
        stream.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
        Self(stream)
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes).await
    }

    /// The next frame; none where the connection is over.
    pub(crate) async fn receive(&mut self) -> Option<Received> {
        receive(&mut self.0).await
    }

    /// Writes `flood(0)`, `flood(1)` and so on for as long as the other side lets it, up to
    /// `most` times, and reads all the while. Gives how it ended, and how many went out.
    pub(crate) async fn flood(
        self,
        most: u32,
        mut flood: impl FnMut(u32) -> Vec<u8> + Send + 'static,
    ) -> (End, u32) {
        let (mut read, mut write) = self.0.into_split();
        let writer = tokio::spawn(async move {
            let mut sent = 0;
            while sent < most && write.write_all(&flood(sent)).await.is_ok() {
                sent += 1;
            }
            // Kept, so that this side is not the one that hangs up.
            (sent, write)
        });
        let mut end = End::Closed;
        let read_all = async {
            while let Some(frame) = receive(&mut read).await {
                if frame.kind == GOAWAY {
                    end = End::Goodbye(frame.code());
                }
            }
        };
        timeout(Duration::from_secs(30), read_all).await.expect("the flood is put up with");
        let (sent, _write) = writer.await.unwrap();
        (end, sent)
    }
}

async fn receive(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<Received> {
    let mut header = [0; 9];
    stream.read_exact(&mut header).await.ok()?;
    let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some(Received { kind: header[3], flags: header[4], payload })
}
